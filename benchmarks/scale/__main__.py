# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures what grows: ``make bench-scale``, or ``scripts/bench-scale memory --files 50000,100000``."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

from scale import catalog, long_chain, many_files, resting
from scale.long_chain import Chain

PARTS = ("memory", "chain", "catalog", "rest")


def main() -> int:
    """Run the parts that were asked for."""
    parser = argparse.ArgumentParser(prog="scripts/bench-scale", description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; default: all")
    parser.add_argument("--directory", type=Path, help="where trees and storages go; trees are kept there")
    parser.add_argument("--storage", choices=("sftp", "s3"), default="sftp")
    parser.add_argument("--files", default="250000,1000000", help="memory: numbers of files")
    parser.add_argument("--size", type=int, default=100, help="memory: bytes of a file")
    parser.add_argument(
        "--changed", default="0.001,0.01", help="memory: shares changed, one incremental each"
    )
    parser.add_argument("--chain-files", type=int, default=100_000)
    parser.add_argument("--chain-size", type=int, default=4096)
    parser.add_argument("--chain-length", type=int, default=100)
    parser.add_argument("--chain-changed", type=float, default=0.001)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--hosts", type=int, default=2000)
    parser.add_argument("--backups", type=int, default=50, help="catalog: of each host")
    parser.add_argument("--seconds", type=float, default=60.0, help="rest: how long the daemon is watched")
    options = parser.parse_args()
    unknown = set(options.parts) - set(PARTS)
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    parts = options.parts or PARTS
    directory = options.directory or Path(tempfile.mkdtemp(prefix="papi-scale-"))
    directory.mkdir(parents=True, exist_ok=True)
    print(f"{os.cpu_count()} processors, Python {sys.version.split()[0]}, over {options.storage}", flush=True)
    try:
        if "memory" in parts:
            shares = tuple(map(float, options.changed.split(",")))
            for files in map(int, options.files.split(",")):
                many_files.measure(directory, options.storage, files, options.size, shares)
        if "chain" in parts:
            chain = Chain(
                options.chain_files, options.chain_size, options.chain_length, options.chain_changed
            )
            ratio = long_chain.measure(directory, options.storage, chain, options.rounds)
            print(f"ratio {ratio:.2f}", flush=True)
        if "catalog" in parts:
            catalog.measure(directory, options.hosts, options.backups)
        if "rest" in parts:
            resting.measure(directory, options.seconds)
    finally:
        if options.directory is None:
            shutil.rmtree(directory, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
