# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The calls of a storage in which a process can die."""

from __future__ import annotations

from typing import get_args

from papi_backup.engine.storage.faults import Method

METHODS: tuple[str, ...] = get_args(Method)
"""All methods of a storage and of what it writes."""
