# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run is asked for."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.datasets import RECIPES
from bench.providing import NAMES

STORAGES = ("sftp", "s3")


@dataclass(frozen=True, slots=True)
class Options:
    """A run.

    Slow tools take part in the first ``slow_rounds``.  ``work`` gets the data and the servers' storages,
    and is removed; ``output`` gets the report.
    """

    sets: tuple[str, ...]
    storages: tuple[str, ...]
    peers: tuple[str, ...]
    scale: float
    rounds: int
    slow_rounds: int
    work: Path
    output: Path


def parse(arguments: Sequence[str], cache: Path) -> Options:
    """Read the command line; what is wrong ends the process with status 2."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Ours beside its peers.")
    known = [recipe.name for recipe in RECIPES]
    _add_list(parser, "--sets", known, "data sets")
    _add_list(parser, "--storages", STORAGES, "storages")
    _add_list(parser, "--peers", [name.replace(" ", "-") for name in NAMES], "tools")
    parser.add_argument("--scale", type=float, default=1.0, help="of the data sets' sizes (default 1)")
    parser.add_argument("--rounds", type=int, default=3, help="at least 1 (default 3)")
    parser.add_argument(
        "--slow-rounds", type=int, default=1, help="in which slow tools take part (default 1)"
    )
    parser.add_argument("--work", type=Path, default=cache / "work", help="a directory for data; emptied")
    parser.add_argument("--output", type=Path, default=cache / "report", help="where the report goes")
    found = parser.parse_args(arguments)
    if found.rounds < 1 or not 0 < found.scale <= 100:
        parser.error("--rounds must be at least 1, --scale over 0 and at most 100")
    return Options(
        sets=found.sets,
        storages=found.storages,
        peers=tuple(name.replace("-", " ") for name in found.peers),
        scale=found.scale,
        rounds=found.rounds,
        slow_rounds=found.slow_rounds,
        work=found.work.absolute(),
        output=found.output.absolute(),
    )


def _add_list(parser: argparse.ArgumentParser, name: str, known: Sequence[str], what: str) -> None:
    def read(text: str) -> tuple[str, ...]:
        names = tuple(dict.fromkeys(text.split(",")))
        unknown = [one for one in names if one not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: there is {', '.join(known)}")
        return names

    default = ",".join(known)
    parser.add_argument(name, type=read, default=default, metavar="A,B", help=f"{what} (default {default})")
