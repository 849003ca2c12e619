# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The mark of the newest backup that this agent wrote to a place: it shows when a storage was put back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from papi_backup.engine.catalog import Manifests
from papi_backup.engine.format.names import CATALOG, parse_catalog_name
from papi_backup.model.catalog import CatalogEntry


@dataclass(frozen=True, slots=True)
class HighWater:
    """A mark as the state keeps it: a manifest's path below ``catalog/``; "" where there is none.

    Marks that earlier releases made are the backup's id alone.
    """

    text: str

    def is_of(self, entry: CatalogEntry) -> bool:
        """Return whether ``entry`` is the manifest that the mark names."""
        return self.text in (entry.path, entry.backup)

    def found_in(self, entries: Iterable[CatalogEntry]) -> CatalogEntry | None:
        """Return the manifest that the mark names; None if it is not there."""
        return next(filter(self.is_of, entries), None)

    def raised_by(self, entry: CatalogEntry, manifests: Manifests) -> bool:
        """Return whether ``entry``, a backup of this agent, is newer than the one that the mark names."""
        marked = parse_catalog_name(self.text, None) or self.found_in(manifests.whole)
        if marked is None:
            return not self.text
        return marked.host_name == entry.host_name and marked.date < entry.date

    def missing_from(self, manifests: Manifests, host_name: str) -> str:
        """Return what is wrong with the newest backup that this agent wrote for a host; "" if it is there."""
        marked = parse_catalog_name(self.text, None)
        if not self.text or (marked is not None and marked.host_name != host_name.lower()):
            return ""
        if self.found_in(manifests.whole):
            return ""
        told = self.text if marked is None else f"{CATALOG}{self.text} of {marked.date:%Y-%m-%d %H:%M:%S} UTC"
        if self.found_in(manifests.cut):
            return (
                f"the newest backup that this agent wrote ({told}) does not have the size that its name tells"
            )
        return (
            f"the newest backup that this agent wrote ({told}) is no longer on the storage: "
            "it was deleted, or an older state of the storage was put back"
        )
