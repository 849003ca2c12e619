# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sanity, units and a smoke of integration on each ansible-core: ``python -m gates.matrix [VERSION…]``.

A release that no Python of this machine runs is asked in a Debian 13 root (scripts/fresh), which needs root.
There the last commit is asked, not the work tree.  A release that could not be asked counts as failed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from gates.ansible_test import AnsibleTest
from gates.place import REPOSITORY, virtual_environment
from gates.pythons import real_interpreters
from gates.tally import GateError, Tally

CONTROLLERS: Mapping[str, tuple[str, ...]] = {
    "2.18": ("3.11", "3.12", "3.13"),
    "2.19": ("3.11", "3.12", "3.13"),
    "2.20": ("3.12", "3.13", "3.14"),
    "2.21": ("3.12", "3.13", "3.14"),
}
"""By release, the Pythons that its controller runs with."""

SMOKE = ("backup_ssh_id", "backup_storage", "backup_config", "backup_run", "backup_restore")
INSIDE = "PAPI_MATRIX_INSIDE"


def main(versions: Sequence[str] | None = None) -> int:
    """Ask each release; return 0 if all passed."""
    wanted = list(sys.argv[1:] if versions is None else versions) or list(CONTROLLERS)
    unknown = sorted(set(wanted) - set(CONTROLLERS))
    if unknown:
        sys.stderr.write(f"no such release: {' '.join(unknown)}; there are {' '.join(CONTROLLERS)}\n")
        return 2
    pythons = real_interpreters()
    here = {version: _fitting(version, pythons) for version in wanted}
    lines: list[tuple[str, Tally, float]] = []
    for version, python in here.items():
        if python is not None:
            lines += _ask(version, python)
    elsewhere = [version for version, python in here.items() if python is None]
    if elsewhere:
        started = time.monotonic()
        tally = _ask_elsewhere(elsewhere)
        lines.append((f"{' and '.join(elsewhere)} in Debian 13", tally, time.monotonic() - started))
    print()
    for title, tally, seconds in lines:
        verdict = "FAILED" if tally.failures else "ok"
        counts = f"{tally.passed} passed, {len(tally.failures)} failed"
        print(f"{verdict:<7} ansible-core {title:<24} {seconds:7.1f} s  {counts}")
        for failure in tally.failures:
            print(f"        {failure}")
    total = sum((tally for unused, tally, seconds in lines), Tally(0))
    print(f"total: {total.passed} passed, {len(total.failures)} failed", flush=True)
    return 1 if total.failures or not total.passed else 0


def _fitting(version: str, pythons: Mapping[str, Path]) -> Path | None:
    return next((pythons[python] for python in CONTROLLERS[version] if python in pythons), None)


def _ask(version: str, python: Path) -> list[tuple[str, Tally, float]]:
    lines = []
    name = f"ansible-{version}"
    try:
        test = AnsibleTest(virtual_environment(name, [f"{name}.txt"], python), name)
    except GateError as error:
        return [(version, Tally(0, (str(error),)), 0.0)]
    for kind, ask in (
        ("sanity", test.sanity),
        ("units", test.units),
        ("integration", lambda: test.integration(*SMOKE)),
    ):
        print(f"\n=== ansible-core {version} with {python}: {kind}", flush=True)
        started = time.monotonic()
        try:
            tally = ask()
        except GateError as error:
            tally = Tally(0, (str(error),))
        lines.append((f"{version} {kind}", tally, time.monotonic() - started))
    return lines


def _ask_elsewhere(versions: Sequence[str]) -> Tally:
    """Let a Debian 13 root ask them; its own output tells the details."""
    if os.environ.get(INSIDE):
        return Tally(0, tuple(f"{version}: no Python for it in Debian 13 either" for version in versions))
    if os.geteuid() != 0:
        return Tally(
            0, tuple(f"{version}: no Python 3.12 or newer, and no root for Debian 13" for version in versions)
        )
    command = [str(REPOSITORY / "scripts" / "fresh"), f"{INSIDE}=1 scripts/matrix {' '.join(versions)}"]
    done = subprocess.run(command, env={**os.environ, "PAPI_FRESH_SUITE": "trixie"}, check=False)
    if done.returncode:
        return Tally(0, tuple(f"{version}: see above" for version in versions))
    return Tally(len(versions))


if __name__ == "__main__":
    sys.exit(main())
