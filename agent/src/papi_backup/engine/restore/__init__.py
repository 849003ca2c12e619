# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restore: choose a backup, plan, fetch, verify, write (docs/architecture.md, "A restore, step by step")."""

from __future__ import annotations

from papi_backup.engine.restore.dryrun import plan_restore
from papi_backup.engine.restore.job import run_restore

__all__ = ["plan_restore", "run_restore"]
