# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A restore's options as JSON text, without its key."""

from __future__ import annotations

import json

from papi_backup.model.job import RestoreOptions
from papi_backup.model.secret import Secret
from papi_backup.state.database import StateError
from papi_backup.state.instants import from_text, to_text


def options_to_text(options: RestoreOptions) -> str:
    """Return ``options`` as ASCII JSON; the key is left out, it is sealed beside it."""
    return json.dumps(
        {
            "storage_id": options.storage_id,
            "backup_name": options.backup_name,
            "restore_date": to_text(options.restore_date),
            "hostname": options.hostname,
            "target_dir": options.target_dir,
            "include": options.include,
            "overwrite": options.overwrite,
            "numeric_owner": options.numeric_owner,
        }
    )


def options_from_text(text: str, encryption_key: Secret) -> RestoreOptions:
    """Return what :func:`options_to_text` wrote, with its key.  Raises :class:`StateError` for other text."""
    try:
        fields = json.loads(text)
        return RestoreOptions(
            storage_id=fields["storage_id"],
            backup_name=fields["backup_name"],
            restore_date=from_text(fields["restore_date"]),
            hostname=fields["hostname"],
            encryption_key=encryption_key,
            target_dir=fields["target_dir"],
            include=tuple(fields["include"]),
            overwrite=fields["overwrite"],
            # Absent from what an earlier release queued.
            numeric_owner=fields.get("numeric_owner", False),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise StateError("the restore's options in the state are damaged") from error
