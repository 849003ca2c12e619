# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is backed up: copies of trees of this machine, a log, a large file and a tree of odd things."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from demonstration.layout import DemoError, Layout
from demonstration.oddities import make_odd_tree

DOCUMENTATION = Path("/usr/share/doc")
DOCUMENTATION_BYTES = 48 << 20
LARGE_FILE_BYTES = 40 << 20
NEEDED_BYTES = 3 << 30
LOG_LINES = 20_000


def make_sources(layout: Layout) -> Iterator[str]:
    """Fill ``layout.sources``; yields a line for people after each tree."""
    free = shutil.disk_usage(layout.root).free
    if free < NEEDED_BYTES:
        raise DemoError(f"{free >> 20} MiB are free below {layout.root}, {NEEDED_BYTES >> 20} are needed")
    unread = _copy([Path("/etc")], layout.sources)
    yield f"/etc: {_measure(layout.sources / 'etc')}{_left_out(unread)}"
    yield _copy_documentation(layout.sources / "doc")
    log = layout.sources / "log" / "service.log"
    log.parent.mkdir()
    append_to_log(log, LOG_LINES)
    yield f"a growing log: {log.stat().st_size >> 10} KiB"
    large = layout.sources / "large" / "archive.bin"
    large.parent.mkdir()
    large.write_bytes(random.randbytes(LARGE_FILE_BYTES))  # noqa: S311 -- contents, not a secret
    yield f"one large file: {LARGE_FILE_BYTES >> 20} MiB of random bytes"
    notes = make_odd_tree(layout.sources / "odd")
    yield "odd things: names that are no text, links, holes, xattrs, ACLs" + "".join(f"; {n}" for n in notes)


def append_to_log(log: Path, lines: int) -> None:
    """Let the log grow by ``lines`` lines, as a service would."""
    with log.open("a") as file:
        for number in range(lines):
            file.write(f"2026-11-24T00:00:{number % 60:02} service[812]: request {number * 7919} served\n")


def _copy_documentation(target: Path) -> str:
    target.mkdir()
    chosen, chosen_bytes, total = [], 0, 0
    for path in sorted(DOCUMENTATION.iterdir()) if DOCUMENTATION.is_dir() else []:
        size = _bytes_below(path)
        total += size
        if chosen_bytes + size <= DOCUMENTATION_BYTES:
            chosen.append(path)
            chosen_bytes += size
    unread = _copy(chosen, target) if chosen else 0
    taken = f"{chosen_bytes / 2**20:.1f} of {total / 2**20:.1f} MiB"
    return f"{DOCUMENTATION}: {taken}, {_measure(target)}{_left_out(unread)}"


def _copy(paths: list[Path], target: Path) -> int:
    """Copy with everything that cp keeps; return how many entries this user may not read."""
    command = ["cp", "-a", "--reflink=auto", "--", *map(str, paths), str(target)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        errors="replace",
        env={**os.environ, "LC_ALL": "C"},
        check=False,
    )
    refused = [line for line in done.stderr.splitlines() if line.endswith("Permission denied")]
    if done.returncode and (os.geteuid() == 0 or not refused):
        raise DemoError(f"copying {paths[0]}… failed: {done.stderr.strip()[-500:]}")
    return len(refused)


def _left_out(count: int) -> str:
    return f" ({count} that this user may not read are left out)" if count else ""


def _bytes_below(path: Path) -> int:
    if path.is_symlink() or not path.is_dir():
        return path.lstat().st_size
    found = 0
    for directory, _names, files in os.walk(path):
        found += sum(os.lstat(os.path.join(directory, name)).st_size for name in files)
    return found


def _measure(path: Path) -> str:
    count = sum(len(names) + len(files) for _directory, names, files in os.walk(path))
    return f"{count} entries, {_bytes_below(path) / 2**20:.1f} MiB"
