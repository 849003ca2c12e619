# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks the standalone comparer; nothing else judges a restore."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from demonstration.layout import COMPARER, SOURCE_NAMES, DemoError, Layout


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the comparer said; ``not_compared`` names what could not be looked at, with the reason."""

    identical: bool
    entries: int
    not_compared: tuple[str, ...]
    first_difference: str = ""

    @property
    def text(self) -> str:
        """One cell of the table."""
        return "identical" if self.identical else f"DIFFERENT: {self.first_difference}"


def compare(layout: Layout, left: Path, right: Path) -> Verdict:
    """Run the comparer, its self-test included; raises :class:`DemoError` when it cannot compare."""
    with tempfile.NamedTemporaryFile(dir=layout.scratch, suffix=".json") as report:
        command = [sys.executable, "-I", str(COMPARER), "--quiet", "--json", report.name]
        command += ["--scratch", str(layout.scratch), str(left), str(right)]
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True, errors="replace", check=False)
        if done.returncode not in {0, 1}:
            raise DemoError(f"the comparer could not do its work: {done.stderr.strip()[-500:]}")
        found = json.loads(Path(report.name).read_text())
    first = found["differences"][0] if found["differences"] else None
    return Verdict(
        identical=done.returncode == 0 and found["verdict"] == "identical",
        entries=found["aspects"]["names"]["compared"],
        not_compared=tuple(f"{name} ({why})" for name, why in sorted(found["not_compared"].items())),
        first_difference=f"{first['aspect']} of {first['name']}: {first['left']} | {first['right']}"
        if first
        else "",
    )


def compare_restored(layout: Layout, number: int, target: Path) -> Verdict:
    """Compare all trees below ``target`` with snapshot ``number``; they lie at their full original paths."""
    restored = target / layout.sources.relative_to("/")
    if not restored.is_dir():
        return Verdict(False, 0, (), f"nothing was restored to {restored}")
    surplus = sorted({path.name for path in restored.iterdir()} - set(SOURCE_NAMES))
    if surplus:
        return Verdict(False, 0, (), f"{surplus[0]} was never backed up")
    verdicts = {}
    for name in SOURCE_NAMES:
        if not (restored / name).exists():
            return Verdict(False, 0, (), f"{name} is missing")
        verdicts[name] = compare(layout, layout.snapshot(number) / name, restored / name)
    different = [(name, one) for name, one in verdicts.items() if not one.identical]
    return Verdict(
        identical=not different,
        entries=sum(one.entries for one in verdicts.values()),
        not_compared=tuple(sorted({why for one in verdicts.values() for why in one.not_compared})),
        first_difference=f"below {different[0][0]}: {different[0][1].first_difference}" if different else "",
    )
