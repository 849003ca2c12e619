# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host with a directory as its storage, and the engine's own view of trees, for restores."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "engine"))

from restoring import RestoringHost


@pytest.fixture
def host(tmp_path: Path) -> RestoringHost:
    """An encrypted host with an empty tree."""
    return RestoringHost.below(tmp_path)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A target that does not exist yet."""
    return tmp_path / "out"
