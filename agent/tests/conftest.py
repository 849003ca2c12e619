# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the starters of real servers importable as ``realparts``, and their fixtures and samples known."""

from __future__ import annotations

import sys
from pathlib import Path

_REPOSITORY = Path(__file__).parents[2]
sys.path[:0] = [str(_REPOSITORY / "tests"), str(_REPOSITORY / "scripts")]

pytest_plugins = ["checks.sampling", "realparts.pytest_fixtures", "realparts.storage_places"]
