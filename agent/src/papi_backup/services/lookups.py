# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking things up the way several verbs do."""

from __future__ import annotations

from collections.abc import Callable

from papi_backup.model.errors import InvalidParameterError, NoSuchEntityError
from papi_backup.model.storage import StorageAccess
from papi_backup.state.store import Store


def access_by_name(store: Store, storage_name: str) -> StorageAccess:
    """Return what opens a storage of that name; raises :class:`NoSuchEntityError`."""
    with store.undisturbed():
        return store.access_to(store.storages.by_name(storage_name))


def refuse_taken(by_name: Callable[[str], object], name: str, what: str, parameter: str) -> None:
    """Raise :class:`InvalidParameterError` when ``by_name`` finds something called ``name``."""
    try:
        by_name(name)
    except NoSuchEntityError:
        return
    raise InvalidParameterError(f"Invalid value of '{parameter}': {what} named {name!r} exists.", parameter)


def joined(names: list[str]) -> str:
    """Return quoted ``names`` as a list for a person."""
    return ", ".join(repr(name) for name in names)
