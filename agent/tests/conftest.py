# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the starters of real servers importable as ``realparts``, and their fixtures and samples known."""

from __future__ import annotations

import sys
from pathlib import Path

from hypothesis import settings

_REPOSITORY = Path(__file__).parents[2]
sys.path[:0] = [str(_REPOSITORY / "tests"), str(_REPOSITORY / "scripts")]

pytest_plugins = ["checks.sampling", "realparts.pytest_fixtures", "realparts.storage_places"]

# A property that holds slowly holds: hypothesis's deadline of 200 ms measures how busy the cores are.
settings.register_profile("whatever the load", deadline=None)
settings.load_profile("whatever the load")
