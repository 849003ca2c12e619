# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Schedules and backup configurations (docs/schedules.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from papi_backup.model.secret import NO_SECRET, Secret

Period = Literal["deactivated", "yearly", "monthly", "weekly", "daily", "hourly"]
PERIODS: tuple[Period, ...] = ("deactivated", "yearly", "monthly", "weekly", "daily", "hourly")
BackupType = Literal["full", "inc"]
UNITS: Mapping[Period, range] = MappingProxyType(
    {"yearly": range(1, 13), "monthly": range(1, 32), "weekly": range(7), "hourly": range(24)}
)
"""What ``time_list`` chooses from; ``weekly`` counts from 0 = Sunday as cron does.  Others take no list."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """When one type of backup runs.  Empty tuples mean "not given" (docs/schedules.md, "Parameters")."""

    period: Period = "deactivated"
    frequency: int = 1
    time_list: tuple[int, ...] = ()
    day_run: tuple[int, ...] = ()
    time_run: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class BackupConfig:
    """What is backed up, where to, with which key, when.

    Empty ``paths``: the agent.toml source set of that name, or its default set.  Paths are text
    with undecodable bytes as surrogate escapes (``os.fsdecode``).
    """

    backup_name: str
    storage_id: int
    encryption_key: Secret = field(default=NO_SECRET)
    full: Schedule = field(default=Schedule())
    inc: Schedule = field(default=Schedule())
    paths: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    backup_id: int = 0


@dataclass(frozen=True, slots=True)
class SourceSet:
    """Resolved sources of one backup: absolute paths and exclude patterns."""

    paths: tuple[str, ...]
    excludes: tuple[str, ...] = ()
