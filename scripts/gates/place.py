# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where gates work: copies of the collection where Ansible looks for one, and virtual environments."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from gates.tally import GateError

REPOSITORY = Path(__file__).resolve().parents[2]
CACHE = REPOSITORY / ".cache" / "gates"
BIN = Path(sys.executable).parent


def collection_copy(name: str) -> Path:
    """Copy what git tracks, or would, to a repository of its own at .../ansible_collections/papi/backup."""
    target = CACHE / name / "ansible_collections" / "papi" / "backup"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    listed = _git(REPOSITORY, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for word in sorted(set(listed.split(b"\0")) - {b""}):
        source = REPOSITORY / os.fsdecode(word)
        if source.is_file() or source.is_symlink():
            copied = target / os.fsdecode(word)
            copied.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, copied, follow_symlinks=False)
    _git(target, "init", "-q")
    _git(target, "add", "--all", "--force")
    return target


def _git(directory: Path, *arguments: str) -> bytes:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            ["git", *arguments],  # noqa: S607 -- the user's git
            cwd=directory,
            env=environment,
            capture_output=True,
            check=False,
        )
    except OSError as error:
        raise GateError(f"git does not run: {error}") from error
    if done.returncode:
        raise GateError(f"git {arguments[0]} failed: {done.stderr.decode(errors='replace')[-500:]}")
    return done.stdout


def virtual_environment(name: str, requirements: Sequence[str], python: Path | None = None) -> Path:
    """Make a virtual environment of pinned packages, unless it is there; return its ``bin``."""
    base = python or Path(os.path.realpath(getattr(sys, "_base_executable", sys.executable)))
    files = [REPOSITORY / "tests" / "requirements" / file for file in requirements]
    key = hashlib.sha256(b"".join([os.fsencode(base), *(file.read_bytes() for file in files)])).hexdigest()
    target = CACHE / "venvs" / name
    stamp = target / ".complete"
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(target.with_name(f"{name}.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != key:
            print(f"making {target.relative_to(REPOSITORY)} with {base}", flush=True)
            shutil.rmtree(target, ignore_errors=True)
            _install(base, target, files)
            stamp.write_text(key)
    return target / "bin"


def _install(base: Path, target: Path, files: Sequence[Path]) -> None:
    pip = [str(target / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "-qq", "install"]
    wanted = [word for file in files for word in ("-r", str(file))]
    for command in ([str(base), "-m", "venv", str(target)], [*pip, "--retries", "5", *wanted]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise GateError(
                f"{target.name} could not be made; it needs a package index:\n{done.stderr.strip()[-1500:]}"
            )
