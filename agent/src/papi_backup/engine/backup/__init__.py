# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backing up: scan, select, chunk, segment, volume, manifest last."""

from __future__ import annotations

from papi_backup.engine.backup.run import run_backup

__all__ = ["run_backup"]
