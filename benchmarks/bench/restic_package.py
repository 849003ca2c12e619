# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""restic as Debian 13 packages it: one program that needs nothing, so it runs on Debian 12 too."""

from __future__ import annotations

import subprocess
from pathlib import Path

from bench.missing import MissingError

SUITE = "trixie"
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_SECONDS = 300.0


def provide_restic(cache: Path) -> Path:
    """Return the program, fetched once below ``cache``.  Raises :class:`MissingError`."""
    program = cache / "restic" / "usr" / "bin" / "restic"
    if not program.exists():
        _fetch(cache / "restic")
    return program


def _fetch(directory: Path) -> None:
    """Fetch and unpack it with apt directories of our own; nothing gets installed."""
    apt = directory / "apt"
    for name in ("lists/partial", "cache/archives/partial", "preferences"):
        (apt / name).mkdir(parents=True, exist_ok=True)
    (apt / "sources.list").write_text(f"deb {_trust()}{_archive()} {SUITE} main\n")
    options = (
        *("-q", "-o", f"Dir::Etc::sourcelist={apt}/sources.list", "-o", "Dir::Etc::sourceparts=/dev/null"),
        *("-o", f"Dir::Etc::preferencesparts={apt}/preferences", "-o", "Dir::Etc::preferences=/dev/null"),
        *("-o", f"Dir::State::lists={apt}/lists", "-o", "Dir::State::status=/dev/null"),
        *("-o", f"Dir::Cache={apt}/cache", "-o", "APT::Sandbox::User=", "-o", "Acquire::Retries=3"),
    )
    _run("apt-get", *options, "update", directory=apt)
    _run("apt-get", *options, "download", "restic", directory=apt)
    packages = sorted(apt.glob("restic_*.deb"))
    if not packages:
        raise MissingError("apt fetched no package restic")
    _run("dpkg", "-x", str(packages[-1]), str(directory), directory=apt)


def _archive() -> str:
    """Return the Debian archive that this machine's apt uses."""
    form = "$(REPO_URI) $(RELEASE) $(ORIGIN)"
    listed = _run("apt-get", "indextargets", "--format", form, "Created-By: Packages")
    for line in listed.splitlines():
        address, unused_suite, origin = (*line.split(" ", 2), "", "")[:3]
        if origin == "Debian" and "security" not in address:
            return address
    raise MissingError("apt knows no Debian archive to fetch restic from (as root: apt-get update)")


def _trust() -> str:
    return f"[signed-by={_KEYRING}] " if _KEYRING.exists() else ""


def _run(*command: str, directory: Path | None = None) -> str:
    try:
        done = subprocess.run(
            command, cwd=directory, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MissingError(f"{command[0]}: {error}") from error
    if done.returncode:
        raise MissingError(f"{command[0]} failed: {(done.stderr or done.stdout).strip()[-300:]}")
    return done.stdout
