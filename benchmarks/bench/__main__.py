# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``make bench``."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import shutil
import sys
from pathlib import Path

from bench.datasets import RECIPES, build
from bench.options import Options, parse
from bench.providing import provide
from bench.rounds import Results, Round
from bench.servers import running_server
from bench.table import plain_table
from realparts.process import ServerError

CACHE = Path(__file__).parents[2] / ".cache" / "bench"


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)


def run(options: Options) -> Results:
    """Measure all that can be measured."""
    results = Results()
    with contextlib.ExitStack() as running:
        provided = provide(options.peers, CACHE, options.work, running)
        for peer in provided.peers:
            say(f"{peer.name}: {peer.version}")
        for name, reason in provided.left_out.items():
            say(f"left out: {name}: {reason}")
        for recipe in RECIPES:
            if recipe.name not in options.sets:
                continue
            data_set = build(recipe, options.work / "data" / recipe.name, options.scale)
            say(f"\n== {data_set.name}: {data_set.remark}")
            for storage in options.storages:
                peers = [peer for peer in provided.peers if storage in peer.storages]
                try:
                    with running_server(storage, options.work / f"{storage}-{recipe.name}") as server:
                        for number in range(options.rounds):
                            say(f"{recipe.name} over {storage}, round {number + 1}")
                            Round(number, data_set, server, options.work).run(peers, results, say)
                except ServerError as error:
                    say(f"left out: {recipe.name} over {storage}: {error}")
            shutil.rmtree(data_set.path)
    return results


def main() -> int:
    """Run the benchmark."""
    options = parse(sys.argv[1:], CACHE)
    shutil.rmtree(options.work, ignore_errors=True)
    options.work.mkdir(parents=True)
    options.output.mkdir(parents=True, exist_ok=True)
    try:
        results = run(options)
    finally:
        shutil.rmtree(options.work, ignore_errors=True)
    rows = [dataclasses.asdict(one) for one in results.measurements]
    (options.output / "measurements.json").write_text(json.dumps(rows, indent=1))
    say(plain_table(results.measurements))
    return 1 if results.failures else 0


if __name__ == "__main__":
    sys.exit(main())
