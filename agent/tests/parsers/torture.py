# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tries every parser of what a storage sends for some minutes: python torture.py --minutes 10 --seed N."""

from __future__ import annotations

import argparse
import secrets
import sys
import time
import traceback
from collections import Counter
from pathlib import Path

_TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(_TESTS / room) for room in ("parsers", "format", "engine", "restore")]

from format_parsers import FORMAT_PARSERS  # noqa: E402 -- behind the path
from hostile_bytes import torture  # noqa: E402 -- behind the path
from storage_parsers import STORAGE_PARSERS  # noqa: E402 -- behind the path

_PARSERS = (*FORMAT_PARSERS, *STORAGE_PARSERS)
_EXAMPLES = 300
"""Inputs for one parser in one round."""


def main() -> int:
    """Return 0 where nothing was found, 1 otherwise."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", default=secrets.token_hex(4))
    given = parser.parse_args()
    print(f"seed {given.seed}, {len(_PARSERS)} parsers, {given.minutes:g} minutes", flush=True)
    tried: Counter[str] = Counter()
    found: dict[str, str] = {}
    end, rounds = time.monotonic() + 60 * given.minutes, 0
    while time.monotonic() < end:
        for one in _PARSERS:
            if time.monotonic() >= end or one.name in found:
                continue
            try:
                tried[one.name] += torture(one, f"{given.seed} {rounds} {one.name}", _EXAMPLES)
            except Exception:  # whatever a parser raises is what is looked for
                found[one.name] = traceback.format_exc()
                print(f"FOUND in {one.name}, round {rounds}:\n{found[one.name]}", flush=True)
        rounds += 1
    for name, count in tried.items():
        print(f"{count:>9} {name}")
    print(
        f"{sum(tried.values())} inputs in {rounds} rounds, {len(found)} parsers at fault; seed {given.seed}"
    )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
