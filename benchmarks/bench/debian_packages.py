# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian packages fetched with apt directories of our own and unpacked; nothing gets installed."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.missing import MissingError

_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_SECONDS = 900.0


def own_suite() -> str:
    """Return the code name of this machine's Debian.  Raises :class:`MissingError`."""
    try:
        name = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    except OSError:
        name = ""
    if not name:
        raise MissingError("this machine is no Debian")
    return name


def unpack(packages: Sequence[str], suite: str, target: Path, apt: Path) -> None:
    """Fetch packages of one suite and unpack them below ``target``; ``apt`` gets apt's own directories."""
    for name in ("lists/partial", "cache/archives/partial", "preferences", f"packages-{suite}"):
        (apt / name).mkdir(parents=True, exist_ok=True)
    sources = apt / f"{suite}.list"
    sources.write_text(f"deb {_trust()}{_archive()} {suite} main\n")
    options = (
        *("-q", "-o", f"Dir::Etc::sourcelist={sources}", "-o", "Dir::Etc::sourceparts=/dev/null"),
        *("-o", f"Dir::Etc::preferencesparts={apt}/preferences", "-o", "Dir::Etc::preferences=/dev/null"),
        *("-o", f"Dir::State::lists={apt}/lists", "-o", "Dir::State::status=/dev/null"),
        *("-o", f"Dir::Cache={apt}/cache", "-o", "APT::Sandbox::User=", "-o", "Acquire::Retries=3"),
    )
    run("apt-get", *options, "update", directory=apt)
    for package in packages:
        run("apt-get", *options, "download", package, directory=apt / f"packages-{suite}")
        found = sorted((apt / f"packages-{suite}").glob(f"{package}_*.deb"))
        if not found:
            raise MissingError(f"apt fetched no package {package}")
        run("dpkg", "-x", str(found[-1]), str(target))


def run(*command: str, directory: Path | None = None, environment: Mapping[str, str] | None = None) -> str:
    """Run a command; return what it printed.  Raises :class:`MissingError` with what it said."""
    try:
        done = subprocess.run(
            command,
            cwd=directory,
            env=environment,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MissingError(f"{command[0]}: {error}") from error
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-3:]
        raise MissingError(f"{Path(command[0]).name} failed: {' '.join(last)[-300:]}")
    return done.stdout


def _archive() -> str:
    """Return the Debian archive that this machine's apt uses."""
    form = "$(REPO_URI) $(RELEASE) $(ORIGIN)"
    for line in run("apt-get", "indextargets", "--format", form, "Created-By: Packages").splitlines():
        address, _suite, origin = (*line.split(" ", 2), "", "")[:3]
        if origin == "Debian" and "security" not in address:
            return address
    raise MissingError("apt knows no Debian archive (as root: apt-get update)")


def _trust() -> str:
    return f"[signed-by={_KEYRING}] " if _KEYRING.exists() else ""
