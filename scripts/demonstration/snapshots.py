# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps the state of the sources before each backup."""

from __future__ import annotations

import subprocess

from demonstration.comparing import compare
from demonstration.layout import DemoError, Layout, remove_tree


def snapshot(layout: Layout, number: int) -> None:
    """Copy the sources aside and prove the copy; raises :class:`DemoError` when it is not the same."""
    target = layout.snapshot(number)
    if target.exists():
        remove_tree(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    command = ["cp", "-a", "--reflink=auto", "--", str(layout.sources), str(target)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        raise DemoError(f"snapshot {number}: {done.stderr.strip()[-500:]}")
    found = compare(layout, layout.sources, target)
    if not found.identical:
        raise DemoError(f"snapshot {number} is not what was copied: {found.first_difference}")
