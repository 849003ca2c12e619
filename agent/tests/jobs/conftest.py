# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real state directory for the tests of jobs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from papi_backup.config import Settings
from papi_backup.model.schedule import SourceSet
from papi_backup.model.secret import Secret
from papi_backup.model.storage import S3Storage
from papi_backup.state.store import Store

sys.path.insert(0, str(Path(__file__).parent))

from supervised_agent import Agent


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    state = tmp_path / "state"
    settings = Settings(state, "host.example", sources={"default": SourceSet(("/srv",))}, nice=5)
    with Store.open(state) as store:
        store.storages.add(S3Storage("bucket", "id", Secret("s3-secret-text"), "b", 32))
        agent = Agent(store, settings)
        yield agent
        for supervisor in agent.supervisors:
            supervisor.stop(timeout=0)
