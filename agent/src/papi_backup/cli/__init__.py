# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``papi-backup``: the operator's command on one host."""

from __future__ import annotations

from papi_backup.cli.main import main

__all__ = ["main"]
