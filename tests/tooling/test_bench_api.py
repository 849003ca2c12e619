# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmark of the API runs, on something small."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def test_the_benchmark_of_the_api_measures_each_listing_beside_a_bare_handler(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    small = ("--clients", "3", "--jobs", "40", "--requests", "6", "--json", str(figures))
    done = subprocess.run(
        [sys.executable, "benchmarks/api_latency.py", *small],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY / "agent/src")},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    found = json.loads(figures.read_text())
    assert {"storage/list", "job/list", "bare, 30 bytes"} < found.keys()
    assert all(0 < row["median"] <= row["p99"] for row in found.values())
    assert "3 clients, 40 jobs" in done.stdout and "median ratio" in done.stdout
