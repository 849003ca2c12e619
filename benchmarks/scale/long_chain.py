# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restoring the end of a long chain, beside restoring a full backup of the very same tree."""

from __future__ import annotations

import shutil
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from scale.jobs import Client, Kind, storage
from scale.many_files import SETTLING_SECONDS
from scale.trees import change_files, make_tree, same_files


@dataclass(frozen=True)
class Chain:
    """A tree of ``files`` files of ``size`` bytes, a ``share`` of them changed before each incremental."""

    files: int
    size: int
    incrementals: int
    share: float


def measure(directory: Path, kind: Kind, chain: Chain, rounds: int) -> float:
    """Print the figures and return the ratio: median seconds of the last incremental by those of a full."""
    files, size, incrementals, share = chain.files, chain.size, chain.incrementals, chain.share
    tree, place, target = (
        directory / f"chain-tree-{files}-{size}",
        directory / "chain",
        directory / "restored",
    )
    shutil.rmtree(tree, ignore_errors=True)
    make_tree(tree, files, size)
    time.sleep(SETTLING_SECONDS)
    with storage(kind, place) as access:
        client = Client(place, access)
        print(client.back_up(tree, "full").told(f"{files:,} files of {size:,} B, full"), flush=True)
        for generation in range(1, incrementals + 1):
            change_files(tree, files, size, share, generation)
            measured = client.back_up(tree, "inc")
            if measured.result.backup_type != "inc":
                raise RuntimeError(measured.result.description)
            if generation in (1, 2, 10) or generation % 25 == 0:
                print(measured.told(f"incremental {generation}, {share:.1%} changed"), flush=True)
        # The other side of the comparison: a later full of the same tree.
        end = measured.result.backup_date
        time.sleep(SETTLING_SECONDS)
        other = Client(place / "other", access)
        other.directory.mkdir()
        full = other.back_up(tree, "full")
        print(full.told("the same tree, full"), flush=True)
        # Not "now": dates of backups that follow each other within a second are ahead of the clock.
        ends = (("the chain's end", client, end), ("a full", other, full.result.backup_date))
        seconds: dict[str, list[float]] = {what: [] for what, _client, _date in ends}
        for number in range(rounds):
            # Each of the two goes first in every other round.
            for what, one, date in ends if number % 2 == 0 else reversed(ends):
                measured = one.restore(target, date)
                seconds[what].append(measured.seconds)
                print(measured.told(f"restore of {what}"), flush=True)
                if (measured.result.backup_type == "inc") != (one is client):
                    raise RuntimeError(f"restored a backup of type {measured.result.backup_type}")
                if not same_files(tree, target / tree.absolute().relative_to("/")):
                    raise RuntimeError(f"{target} is not what {tree} is")
                shutil.rmtree(target)
    medians = [statistics.median(seconds[what]) for what, _client, _date in ends]
    print(f"restore of the chain's end / of a full: {medians[0]:.2f} / {medians[1]:.2f} s", flush=True)
    shutil.rmtree(place)
    shutil.rmtree(tree)
    return medians[0] / medians[1]
