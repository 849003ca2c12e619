# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The answer of a storage test (docs/api.md, "test_storage"), as the agent's processes exchange it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CheckedStep:
    """One step that passed (reach, login, write, read back, …) and how many seconds it took."""

    name: str
    seconds: float
    detail: str = ""


@dataclass(frozen=True, slots=True)
class StorageCheck:
    """A test that passed.  ``host_key`` is the one the SSH server showed, "" for other storages."""

    steps: tuple[CheckedStep, ...] = ()
    host_key: str = ""
