# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The API on a real socket and port: one for a whole file where nothing changes, else one for each test."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "services"))

from running_api import RunningApi, running_api


@pytest.fixture
def api(tmp_path: Path) -> Iterator[RunningApi]:
    with running_api(tmp_path) as running:
        yield running


@pytest.fixture
def busy_api(api: RunningApi) -> RunningApi:
    """One with a job that waits."""
    api.world.add_job()
    return api


@pytest.fixture(scope="module")
def unchanged_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApi]:
    """Shared by tests whose calls change nothing; that they do not is checked at the end."""
    with running_api(tmp_path_factory.mktemp("unchanged")) as running:
        # A test that succeeds pins a host key; these servers show none.
        running.world.queries.host_key = ""
        running.world.add_job()
        before = running.world.contents()
        yield running
        assert running.world.contents() == before
