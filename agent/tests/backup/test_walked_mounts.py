# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a walk makes of mounts: those that lead back, and those of the kernel's own file systems."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

_PREAMBLE = """
import os, subprocess, sys
from papi_backup.engine.patterns import Excludes
from papi_backup.engine.backup.walk import Walker
base = sys.argv[1]
subprocess.run(["mount", "-t", "proc", "proc", base + "/proc"], check=True)
"""

_LEADS_BACK = (
    _PREAMBLE
    + """
subprocess.run(["mount", "--bind", base, base + "/a/loop"], check=True)
top = os.fsencode(base).lstrip(b"/")
warnings = []
walker = Walker((top,), Excludes([]), frozenset(), lambda path, text: warnings.append((path, text)))
print([path[len(top):] for batch in walker for path, status in batch.found if path.startswith(top)])
print([(path[len(top):], text) for path, text in warnings])
"""
)

_WHOLE_SYSTEM = (
    _PREAMBLE
    + """
subprocess.run(["mount", "--bind", base, base + "/a/loop"], check=True)
b"x".decode("unicode_escape")  # the library stays outside
os.chroot(base)
os.chdir("/")
warnings = []
walker = Walker((b"",), Excludes([]), frozenset(), lambda path, text: warnings.append((path, text)))
print([path for batch in walker for path, status in batch.found])
print(warnings)
"""
)

_TELLS_WHAT_IS_OPENED = (
    _PREAMBLE
    + """
plain_open, opened = os.open, []
def open_and_note(path, flags, *rest, **options):
    opened.append((path, bool(flags & os.O_DIRECTORY)))
    return plain_open(path, flags, *rest, **options)
os.open = open_and_note
walker = Walker((os.fsencode(base).lstrip(b"/"),), Excludes([]), frozenset(), print)
found = [path for batch in walker for path, status in batch.found]
print(sorted({as_directory for path, as_directory in opened if path == b"a"}))
print(sorted({as_directory for path, as_directory in opened if path == b"proc"}))
"""
)


def in_a_namespace(script: str, base: Path) -> list[str]:
    """Run a script where it may mount; return the lines that it prints."""
    flags = ["--mount", "--pid", "--fork"] + ([] if os.geteuid() == 0 else ["--user", "--map-root-user"])
    ended = subprocess.run(
        [shutil.which("unshare") or "unshare", *flags, sys.executable, "-c", script, str(base)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()


def tree_below(place: Path) -> Path:
    """Make a file, and two directories to mount something on."""
    base = Path(os.path.realpath(place))
    (base / "a" / "loop").mkdir(parents=True)
    (base / "a" / "x").touch()
    (base / "proc").mkdir()
    return base


def test_mounts_that_lead_back_and_the_kernels_own_are_not_entered(tmp_path: Path) -> None:
    base = tree_below(tmp_path)
    assert in_a_namespace(_LEADS_BACK, base) == [
        str([b"", b"/a", b"/a/loop", b"/a/x", b"/proc"]),
        str([(b"/a/loop", "is mounted inside itself; its contents are left out")]),
    ]


def test_the_whole_system_mounted_inside_itself_is_not_saved_twice(tmp_path: Path) -> None:
    base = tree_below(tmp_path)
    assert in_a_namespace(_WHOLE_SYSTEM, base) == [
        str([b"", b"a", b"a/loop", b"a/x", b"proc"]),
        str([(b"a/loop", "is mounted inside itself; its contents are left out")]),
    ]


def test_a_mount_point_of_the_kernels_own_is_not_opened_as_a_directory(tmp_path: Path) -> None:
    """Where an automount waits, that would mount what nobody has asked for."""
    assert in_a_namespace(_TELLS_WHAT_IS_OPENED, tree_below(tmp_path)) == ["[True]", "[False]"]
