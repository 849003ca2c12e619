# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing leaf pages: entries, and rows of earlier pages, become columns (docs/format.md, "leaf: files")."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from typing import Any

from papi_backup.engine.format.entries import Entry, Owner, to_bytes, to_text
from papi_backup.engine.format.items import HOLE, ItemTable
from papi_backup.engine.format.json_text import encode
from papi_backup.engine.format.leaf import RARE_MAPS, LeafPage
from papi_backup.engine.format.references import Item, SegmentTable, encode_page_refs


def encode_leaf(entries: Iterable[Entry]) -> bytes:
    """Return a leaf page of entries in walk order; references must be resolved."""
    encoder = LeafEncoder()
    for entry in entries:
        encoder.add(entry)
    return encoder.encode()


class ItemColumns:
    """The item columns ``sg``, ``of``, ``ln`` and ``ids`` of one page; holes have no id."""

    def __init__(self, table: SegmentTable) -> None:
        self._index = table.index
        self._segments: list[int] = []
        self._offsets: list[int] = []
        self._lengths: list[int] = []
        self._ids: list[bytes] = []

    def extend(self, items: Sequence[Item]) -> None:
        """Append items."""
        index = self._index
        for segment, offset, length, chunk_id in items:
            self._offsets.append(offset)
            self._lengths.append(length)
            if segment is None:
                self._segments.append(HOLE)
            else:
                self._segments.append(index(segment))
                self._ids.append(chunk_id)

    def copy(self, table: ItemTable, start: int, stop: int) -> None:
        """Append the items from ``start`` up to ``stop`` of an earlier page."""
        indexes = table.indexes[start:stop]
        own = {
            index: HOLE if index == HOLE else self._index(table.segments[index])
            for index in _distinct(indexes)
        }
        self._segments.extend(map(own.__getitem__, indexes))
        self._offsets.extend(table.offsets[start:stop])
        self._lengths.extend(table.lengths[start:stop])
        self._ids.append(table.ids(start, stop))

    def encode(self) -> dict[str, Any]:
        """Return the columns as JSON members."""
        return {
            "sg": self._segments,
            "of": self._offsets,
            "ln": self._lengths,
            "ids": base64.b64encode(b"".join(self._ids)).decode(),
        }


class LeafEncoder:
    """Takes the rows of one leaf page in walk order.

    ``segments`` are those of content; ``item_pages`` the rows' references to item pages, with their ranges.
    """

    def __init__(self) -> None:
        self._table = SegmentTable()
        self._items = ItemColumns(self._table)
        self._types: list[str] = []
        self._names: list[str] = []
        self._directories: dict[bytes, int] = {}
        self._directory_rows: list[int] = []
        self._owners: dict[Owner, int] = {}
        self._columns: dict[str, list[int]] = {key: [] for key in ("m", "o", "mt", "ct", "in", "s", "c")}
        self._rare: dict[str, dict[str, Any]] = {key: {} for key in RARE_MAPS}

    def __len__(self) -> int:
        return len(self._types)

    def add(self, entry: Entry) -> None:
        """Append one entry."""
        directory, _slash, name = entry.path.rpartition(b"/")
        directories, owners, columns = self._directories, self._owners, self._columns
        self._directory_rows.append(directories.setdefault(directory, len(directories)))
        self._names.append(to_text(name))
        columns["m"].append(entry.mode)
        columns["o"].append(owners.setdefault(entry.owner, len(owners)))
        columns["mt"].append(entry.mtime_ns)
        columns["ct"].append(entry.ctime_ns)
        columns["in"].append(entry.inode)
        columns["s"].append(entry.size)
        columns["c"].append(len(entry.items))
        self._items.extend(entry.items)
        self._add_rare(entry, str(len(self._types)))
        self._types.append(entry.type)

    def extend(self, page: LeafPage, start: int, stop: int) -> None:
        """Append the rows from ``start`` up to ``stop`` of an earlier page.  Raises FormatError."""
        base = len(self._types)
        columns = page.columns(start, stop)
        own, self_owners = self._columns, self._owners
        for key in ("m", "mt", "ct", "in", "s", "c"):
            own[key].extend(columns[key])
        owners = {
            row: self_owners.setdefault(page.owners[row], len(self_owners)) for row in _distinct(columns["o"])
        }
        own["o"].extend(map(owners.__getitem__, columns["o"]))
        directories = {
            row: self._directories.setdefault(to_bytes(page.directories[row]), len(self._directories))
            for row in _distinct(columns["d"])
        }
        self._directory_rows.extend(map(directories.__getitem__, columns["d"]))
        self._names.extend(page.names[start:stop])
        self._items.copy(*page.items_in(start, stop))
        for row in page.rare_rows(start, stop):
            self._add_rare(page.entry(row), str(base + row - start))
        self._types.extend(page.types[start:stop])

    def encode(self) -> bytes:
        """Return the page."""
        document: dict[str, Any] = {"k": "leaf", "t": "".join(self._types)}
        document["d"] = self._directory_rows
        document["n"] = self._names
        document.update(self._columns)
        document["dirs"] = [to_text(directory) for directory in self._directories]
        document["owners"] = [[owner.uid, owner.gid, owner.user, owner.group] for owner in self._owners]
        document.update(self._items.encode())
        document.update({key: value for key, value in self._rare.items() if value})
        document.update(self._table.encode())
        return encode(document)

    def _add_rare(self, entry: Entry, row: str) -> None:
        rare = self._rare
        if entry.item_pages is not None:
            rare["lists"][row] = [
                encode_page_refs(self._table, (entry.item_pages,))[0],
                [list(volumes) for volumes in entry.item_volumes],
            ]
        if entry.xattrs:
            rare["x"][row] = {
                to_text(name): base64.b64encode(value).decode()
                for name, value in sorted(entry.xattrs.items())
            }
        if entry.link_target:
            rare["l"][row] = to_text(entry.link_target)
        if entry.link_group:
            rare["h"][row] = entry.link_group
        if entry.device is not None:
            rare["r"][row] = list(entry.device)
        if entry.flags:
            rare["fl"][row] = list(entry.flags)


def _distinct(column: Sequence[int]) -> list[int]:
    """Return the different values in the order in which they first come."""
    return list(dict.fromkeys(column))
