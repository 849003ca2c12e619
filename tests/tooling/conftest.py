# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the packages below scripts/ and benchmarks/, and what they use, importable."""

from __future__ import annotations

import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
_PLACES = ("scripts", "tests", "tests/compare", "benchmarks")
sys.path[:0] = [str(REPOSITORY / place) for place in _PLACES]
