# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""papi.backup agent: encrypted full and incremental host backups behind the Backup API."""

from __future__ import annotations

__version__ = "1.0.0"
API_VERSION = "1.0"
