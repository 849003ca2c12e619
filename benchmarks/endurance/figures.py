# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run came to, in figures for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from endurance.blows import Blows
from endurance.calls import Ended
from endurance.drawing import KINDS, PLACES, Drawn, Place
from endurance.resources import Taken


@dataclass
class Figures:
    """Counts of jobs and blows, and what the agent took after each job."""

    outcomes: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """By place, kind and outcome: ``success``, or a code."""

    dealt: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By place and action."""

    cut: Counter[str] = field(default_factory=Counter)
    """Connections that were ended, by place."""

    survived: int = 0
    """Jobs that were a success although something befell them."""

    checked: int = 0
    """Restores that were compared with what was backed up."""

    degraded: int = 0
    """Of these, the ones with a volume server away."""

    untold: int = 0
    """Backups that exist although their jobs were told as failed."""

    repeated: int = 0
    """Failed jobs of the cluster that were a success once the server was back."""

    slowest: float = 0.0
    """Seconds of the job that took longest."""

    samples: list[Taken] = field(default_factory=list)
    words: Counter[str] = field(default_factory=Counter)
    """What failed jobs said, cut short."""

    def count(self, drawn: Drawn, ended: Ended, blows: Blows) -> None:
        """Count a job."""
        self.outcomes[drawn.place, drawn.kind, str(ended.code or "success")] += 1
        for action, times in blows.dealt.items():
            self.dealt[drawn.place, action] += times
        self.cut[drawn.place] += blows.cut
        self.survived += not ended.code and bool(blows.dealt)
        self.slowest = max(self.slowest, ended.seconds)
        if ended.code:
            self.words[f"{drawn.place}: {ended.words[:160]}"] += 1

    def lines(self, connections: Mapping[Place, int]) -> list[str]:
        """Return them; ``connections`` is how many each place was asked for."""
        told = [f"{sum(self.outcomes.values())} jobs, {self.survived} a success in spite of what befell them"]
        for place in PLACES:
            for kind in KINDS:
                found = {key[2]: n for key, n in self.outcomes.items() if key[:2] == (place, kind)}
                told.append(f"  {place:<8}{kind:<8} {_listed(found)}")
            blows = {action: count for (where, action), count in self.dealt.items() if where == place}
            cut = f"{self.cut[place]} of {connections[place]} connections cut"
            told.append(f"  {place:<8}blows: {_listed(blows)}; {cut}")
        told.append(f"slowest job {self.slowest:.1f} s; {self.checked} restores compared")
        told.append(
            f"cluster: {self.degraded} of these with a server away,"
            f" {self.repeated} failed jobs repeated once it was back"
        )
        told.append(f"{self.untold} backups exist whose jobs were told as failed")
        if self.samples:
            told.append(f"agent at first {self.samples[0]}")
            told.append(f"agent at last  {self.samples[-1]}")
        told += [f"  {count} times {words}" for words, count in self.words.most_common()]
        return told


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items(), reverse=True)) or "none"
