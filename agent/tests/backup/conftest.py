# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host with an empty tree and a directory as its storage."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "engine"))

from backing_host import Host

from papi_backup.engine.storage.directory import DirectoryStorage


@pytest.fixture
def host(tmp_path: Path) -> Host:
    (tmp_path / "tree").mkdir()
    (tmp_path / "storage").mkdir()
    return Host(tmp_path, lambda: DirectoryStorage(tmp_path / "storage"))
