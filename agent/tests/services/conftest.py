# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fresh state directory for the verbs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from fake_backends import World, create_world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = create_world(tmp_path)
    yield world
    world.store.close()
