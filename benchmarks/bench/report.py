# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report: a page for people, the same as JSON, and a picture."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench.options import Options
from bench.peers.protocol import Peer
from bench.plot import plot
from bench.rounds import Results
from bench.table import LIMIT, Table, medians, tables
from bench.targets import Verdict, judge

PAGE, FIGURES, PICTURE = "benchmarks.md", "benchmarks.json", "benchmarks.svg"

_INTRODUCTION = """\
<!-- SPDX-FileCopyrightText: papi.backup contributors -->
<!-- SPDX-License-Identifier: GPL-3.0-or-later -->
<!-- Written by make bench. -->
# Benchmarks

`make bench` wrote this page, [its figures](benchmarks.json) and the picture. It makes its data, starts a
private sshd and an S3 server on loopback, gets the other tools, and measures all of them in rounds: in each
round each tool makes each step, one tool after the other, in an order that rotates. Every restore was
compared with its source; the comparison is not in the times.

* **full**, **unchanged**, **changed** (1 % of the files; in the largest file, where it has a megabyte, 1 MB
  appended and 4 KiB altered), **restore** of all into an empty directory, **restore one** file of about 10
  KB, **list** of the backups.
* Wall and CPU in seconds; CPU is that of the tool and all its children on the client's side, not that of
  the servers.
* Peak memory in MB: the sum of the proportional set sizes of the tool's process tree, sampled every 50 ms
  or less often, so that sampling takes at most 5 % of a core. Stored bytes in MB are those on the storage
  after the step.
* Ours is a real agent: from the call of its API to the job's success, CPU of the daemon and all below it,
  memory of the job's worker and helpers (for **list** of the warm process that asks the storage). The
  resting daemon is not counted. Nobody asks the agent while a worker runs; its exit wakes the benchmark,
  which then asks for the outcome every 5 ms.
* Before each step the file systems are synced; before a full and a restore twice as much memory as the data
  set has is touched and freed: what a virtual machine did not use lately comes from its host page by page,
  and whoever comes first would pay for all. The data is in the page cache. sshd permits AES-GCM alone,
  which all have.
* Durability: what each asks of its storage is said with it below. No tool forces what it restores to disk.
* Client and servers share the processor's cores: what a server needs, the tool lacks.
"""


@dataclass(frozen=True, slots=True)
class Report:
    """All that the page tells."""

    options: Options
    machine: Mapping[str, str]
    peers: Sequence[Peer]
    results: Results
    seconds: float
    date: datetime

    def write(self, directory: Path) -> None:
        """Write the three files."""
        directory.mkdir(parents=True, exist_ok=True)
        (directory / PAGE).write_text(self.page())
        (directory / FIGURES).write_text(json.dumps(self.figures(), indent=1) + "\n")
        if self.results.measurements:
            (directory / PICTURE).write_text(plot(self.results.measurements))

    def verdicts(self) -> list[Verdict]:
        """Return the targets of which both sides were measured, with the ratios."""
        return judge(medians(self.results.measurements))

    def page(self) -> str:
        """Return the page as Markdown."""
        parts = [_INTRODUCTION, self._what_ran()]
        if self.results.measurements:
            parts.append(f"![Wall times]({PICTURE})\n")
        parts += [self._targets(), *map(_table, tables(self.results.measurements))]
        parts += [_list("Left out", self.results.left_out), _list("Failed", self.results.failures)]
        return "\n".join(part for part in parts if part)

    def figures(self) -> dict[str, object]:
        """Return everything as plain data: seconds and bytes."""
        options = self.options
        return {
            "date": self.date.astimezone(UTC).isoformat(timespec="seconds"),
            "scale": options.scale,
            "rounds": options.rounds,
            "slow_rounds": options.slow_rounds,
            "machine": dict(self.machine),
            "tools": {peer.name: peer.version for peer in self.peers},
            "data_sets": self.results.data_sets,
            "measurements": [dataclasses.asdict(one) for one in self.results.measurements],
            "targets": [
                {**dataclasses.asdict(one.target), "measured": one.measured, "met": one.met}
                for one in self.verdicts()
            ],
            "left_out": self.results.left_out,
            "failures": self.results.failures,
        }

    def _what_ran(self) -> str:
        options = self.options
        day = self.date.astimezone(UTC).date()
        lines = [
            "## What ran\n",
            f"{day}, rounds: {options.rounds}, scale: {options.scale:g}, {self.seconds / 60:.0f} minutes.\n",
            "| | |\n| --- | --- |",
            *(f"| {title} | {text} |" for title, text in self.machine.items()),
            *(f"| data set {name} | {remark} |" for name, remark in self.results.data_sets.items()),
            "",
            *(_describe(peer, options) for peer in self.peers),
            "",
        ]
        return "\n".join(lines)

    def _targets(self) -> str:
        verdicts = self.verdicts()
        if not verdicts:
            return (
                "## Targets\n\nNone could be judged: they compare ours with tools that were not measured.\n"
            )
        met = sum(one.met for one in verdicts)
        scaled = "" if self.options.scale == 1 else " They are meant for scale 1."
        lines = [
            "## Targets\n",
            f"{met} of {len(verdicts)} are met. Ratios of medians, ours by the other tool's.{scaled}\n",
            "| data set | storage | step | quantity | by | at most | measured | |",
            "| --- | --- | --- | --- | --- | --- | --- | --- |",
            *map(_verdict, verdicts),
            "",
        ]
        return "\n".join(lines)


def _describe(peer: Peer, options: Options) -> str:
    few = peer.slow and options.slow_rounds < options.rounds
    rounds = f" In the first {options.slow_rounds} of the rounds only, for its slowness." if few else ""
    lost = f" Not compared after its restores: {', '.join(peer.loses)}." if peer.loses else ""
    return f"* **{peer.name}** {peer.version}: {peer.remarks}.{lost}{rounds}"


def _verdict(one: Verdict) -> str:
    target = one.target
    if target.other:
        bound, measured = f"{target.bound:.2f}", f"{one.measured:.2f}"
    else:
        bound, measured = f"{target.bound / 2**20:.0f} MiB", f"{one.measured / 2**20:.2f} MiB"
    cells = (target.data_set, target.storage, target.step, target.quantity, target.other, bound, measured)
    return f"| {' | '.join(cells)} | {'met' if one.met else '**missed**'} |"


def _table(table: Table) -> str:
    heads = [
        "step",
        *table.peers,
        "ours / restic: wall / CPU / peak / stored",
        "ours / best peer: wall",
        f"ours / {LIMIT}: wall / CPU / peak",
    ]
    lines = [
        f"## {table.data_set} over {table.storage}\n",
        "Medians: wall s / CPU s / peak MB, and after a backup / stored MB.\n",
        f"| {' | '.join(heads)} |",
        f"|{' --- |' * len(heads)}",
        *(
            f"| {' | '.join([row.step, *row.cells, row.to_restic, row.to_best, row.to_limit])} |"
            for row in table.rows
        ),
        "",
    ]
    return "\n".join(lines)


def _list(title: str, sentences: Sequence[str]) -> str:
    if not sentences:
        return ""
    return "\n".join([f"## {title}\n", *(f"* {' '.join(sentence.split())}" for sentence in sentences), ""])
