# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The peers' programs, each got once and kept below a cache directory."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path

from bench.debian_packages import own_suite, run, unpack
from bench.missing import MissingError

RESTIC_SUITE = "trixie"
"""Debian 13's restic is one program that needs nothing, so it runs on Debian 12 too."""

_HEADERS = (
    *("liblz4-dev", "liblz4-1", "libzstd-dev", "libzstd1", "libxxhash-dev", "libxxhash0"),
    *("libacl1-dev", "libacl1", "libattr1-dev", "libattr1", "libssl-dev"),
)
"""What borg is built with, and the libraries that its headers belong to."""

_HEADER_LIBRARIES = ("LIBLZ4", "LIBZSTD", "LIBXXHASH", "LIBACL", "OPENSSL")


def restic_program(cache: Path) -> Path:
    """Return restic.  Raises :class:`MissingError`."""
    program = cache / "restic" / "usr" / "bin" / "restic"
    if not program.exists():
        unpack(["restic"], RESTIC_SUITE, cache / "restic", cache / "apt")
    return program


def borg_program(cache: Path) -> Path:
    """Return the newest borg, built from the package index.  Raises :class:`MissingError`."""
    program = cache / "borgbackup" / "bin" / "borg"
    if not program.exists():
        _install(cache, "borgbackup", _build_environment(cache / "headers", cache / "apt"))
    return program


def duplicity_program(cache: Path) -> Path:
    """Return the newest duplicity, with the hundred packages it needs.  Raises :class:`MissingError`."""
    program = cache / "duplicity" / "bin" / "duplicity"
    if not program.exists():
        _install(cache, "duplicity", {})
    return program


def _install(cache: Path, package: str, environment: Mapping[str, str]) -> None:
    """Install a package into a virtual environment of its own."""
    directory = cache / package
    python = os.path.realpath(sys.executable)
    run(python, "-m", "venv", "--clear", str(directory))
    pip = (str(directory / "bin" / "python"), "-m", "pip", "-q", "--disable-pip-version-check")
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    run(*pip, "install", "--retries", "5", package, environment={**inherited, **environment})


def _build_environment(headers: Path, apt: Path) -> dict[str, str]:
    """Return settings with which borg is built where its headers are not installed."""
    try:
        unpack(_HEADERS, own_suite(), headers, apt)
    except MissingError:
        return {}  # perhaps the machine has them; if not, the build says what is missing
    usr = headers / "usr"
    there = str(usr / "lib" / (sysconfig.get_config_var("MULTIARCH") or ""))
    prefixes = {f"BORG_{name}_PREFIX": str(usr) for name in _HEADER_LIBRARIES}
    return {**prefixes, "LIBRARY_PATH": there, "C_INCLUDE_PATH": _includes(usr)}


def _includes(usr: Path) -> str:
    return f"{usr / 'include'}:{usr / 'include' / (sysconfig.get_config_var('MULTIARCH') or '')}"
