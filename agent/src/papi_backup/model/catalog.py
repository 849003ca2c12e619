# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup as a storage's listing shows it (docs/format.md, "Objects and their names")."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from papi_backup.model.schedule import BackupType

FORMAT_VERSION = 1
"""The version of the storage format that this agent writes and reads (docs/format.md)."""


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """One manifest's name, taken apart.  Known from a LIST alone, without GET or key.

    ``path`` is the object's name below ``catalog/``: ``<host>/<name>/<file>``, escaped.
    """

    host_name: str
    backup_name: str
    date: datetime
    backup_type: BackupType
    encrypted: bool
    chain: str
    backup: str
    instance: str
    manifest_size: int
    path: str
    readable: bool = True
