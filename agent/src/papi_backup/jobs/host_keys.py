# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Host keys of SSH servers: the first that a server shows to anybody is remembered, others are refused."""

from __future__ import annotations

import logging
from dataclasses import replace

from papi_backup.model.errors import InvalidStorageError, NoSuchEntityError
from papi_backup.model.host_key import fingerprint, same_key
from papi_backup.model.storage import SshStorage, StorageConfig
from papi_backup.state.store import Store

log = logging.getLogger(__name__)


def pin_host_key(store: Store, storage: StorageConfig, shown: str) -> str:
    """Remember the key that the server of ``storage`` showed, where none is known.

    Returns words on what was remembered; "" for nothing, also when the entry was edited or deleted while its
    server was being asked.  Raises :class:`InvalidStorageError` when somebody else was shown another key
    meanwhile.
    """
    if not isinstance(storage, SshStorage) or storage.host_key or not shown:
        return ""
    with store.transaction():
        try:
            current = store.storages.get(storage.storage_id)
        except NoSuchEntityError:
            return ""
        if not isinstance(current, SshStorage) or replace(current, host_key="") != storage:
            return ""
        if not current.host_key:
            store.storages.update(replace(current, host_key=shown))
    server = f"{storage.server_name} port {storage.ssh_port}"
    if current.host_key:
        if same_key(current.host_key, shown):
            return ""
        raise InvalidStorageError(
            f"the host key of {server} has changed: {fingerprint(current.host_key)} was remembered while "
            f"{fingerprint(shown)} was shown here; somebody may be in between"
        )
    words = f"the host key of {server} was not known, {fingerprint(shown)} is remembered"
    log.warning("storage %r: %s", storage.storage_name, words)
    return words
