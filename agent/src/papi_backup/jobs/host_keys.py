# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Host keys of SSH servers: the first that a server shows to anybody is remembered, others are refused."""

from __future__ import annotations

import logging
from dataclasses import replace

from papi_backup.model.errors import InvalidStorageError, NoSuchEntityError, PapiError
from papi_backup.model.host_key import fingerprint, same_key
from papi_backup.model.storage import SshStorage, StorageConfig
from papi_backup.state.store import Store

log = logging.getLogger(__name__)


def pin_host_key(store: Store, storage: StorageConfig, shown: str) -> str:
    """Remember the key that the server of ``storage`` showed, where none is known.

    Returns words on what was remembered; "" for nothing, also when the entry was edited or deleted while its
    server was being asked, or when the state cannot be written, which is logged.  Raises
    :class:`InvalidStorageError` and nothing else of :class:`PapiError`: somebody else was shown another key
    meanwhile.
    """
    if not isinstance(storage, SshStorage) or storage.host_key or not shown:
        return ""
    try:
        current = _pinned(store, storage, shown)
    except PapiError as error:
        # A contact was good whether or not its key can be remembered: the next one remembers.
        log.error("storage %r: its host key is not remembered: %s", storage.storage_name, error.message)
        return ""
    if current is None:
        return ""
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


def _pinned(store: Store, storage: SshStorage, shown: str) -> SshStorage | None:
    """Return the entry as it was before the key was remembered; None for one that is another by now."""
    with store.transaction():
        try:
            current = store.storages.get(storage.storage_id)
        except NoSuchEntityError:
            return None
        if not isinstance(current, SshStorage) or replace(current, host_key="") != storage:
            return None
        if not current.host_key:
            store.storages.update(replace(current, host_key=shown))
        return current
