# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares a restore with its source, by the comparer of the tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from treecompare.differences import compare

SHOWN = 3


def differences(source: Path, restored: Path, loses: Sequence[str]) -> str:
    """Return what is not the same, for people; "" for nothing.  ``loses`` are aspects not looked at."""
    if not restored.is_dir():
        return "nothing was restored"
    found = [one for one in compare(str(source), str(restored)).differences if one.aspect not in loses]
    shown = "; ".join(
        f"{one.aspect} of {one.name.decode(errors='replace')}: {one.left} / {one.right}"
        for one in found[:SHOWN]
    )
    return f"{len(found)} differences: {shown}" if found else ""
