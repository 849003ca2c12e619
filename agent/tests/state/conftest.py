# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A store in a fresh directory, with a clock that the test moves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from papi_backup.state.passwords import ScryptCost
from papi_backup.state.store import Store


class Clock:
    """Tells the time it was set to."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **units: float) -> None:
        self.now += timedelta(**units)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def open_store(tmp_path: Path, clock: Clock) -> Callable[..., Store]:
    """Open the test's state directory: again and again, or otherwise than usual, as keywords say."""
    machine_id = tmp_path / "machine-id"
    machine_id.write_text("0123456789abcdef0123456789abcdef\n")

    def opener(**keywords: Any) -> Store:
        usual: dict[str, Any] = {
            "clock": clock,
            "machine_id_path": machine_id,
            "environment": {},
            "password_cost": ScryptCost(n=16, p=1),
        }
        return Store.open(tmp_path / "state", **(usual | keywords))

    return opener


@pytest.fixture
def store(open_store: Callable[..., Store]) -> Iterator[Store]:
    with open_store() as opened:
        yield opened
