# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Leaf pages: entries as columns of JSON (docs/format.md, "Leaf pages")."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from typing import Any

from papi_backup.engine.format import FormatError
from papi_backup.engine.format.entries import (
    MOST_ITEMS,
    TYPES,
    Entry,
    Owner,
    check_path,
    to_bytes,
    to_text,
)
from papi_backup.engine.format.references import (
    ID,
    Item,
    SegmentRef,
    SegmentTable,
    VolumeRange,
    check_index,
    check_number,
    decode_page_ref,
    decode_segments,
    encode_page_refs,
)

ID_SIZE = 16
HOLE = -1
_ZERO_ID = bytes(ID_SIZE)


def encode_leaf(entries: Sequence[Entry]) -> bytes:
    """Return a leaf page of entries in walk order; references must be resolved."""
    table = SegmentTable()
    directories: dict[bytes, int] = {}
    owners: dict[Owner, int] = {}
    columns: dict[str, list[Any]] = {key: [] for key in ("d", "n", "m", "o", "mt", "ct", "in", "s", "c")}
    items: list[Item] = []
    sparse: dict[str, dict[str, Any]] = {key: {} for key in ("lists", "x", "l", "h", "r", "fl")}
    for number, entry in enumerate(entries):
        directory, _slash, name = entry.path.rpartition(b"/")
        columns["d"].append(directories.setdefault(directory, len(directories)))
        columns["n"].append(to_text(name))
        columns["m"].append(entry.mode)
        columns["o"].append(owners.setdefault(entry.owner, len(owners)))
        columns["mt"].append(entry.mtime_ns)
        columns["ct"].append(entry.ctime_ns)
        columns["in"].append(entry.inode)
        columns["s"].append(entry.size)
        columns["c"].append(len(entry.items))
        items.extend(entry.items)
        _encode_rare(entry, str(number), table, sparse)
    document: dict[str, Any] = {"k": "leaf", "t": "".join(entry.type for entry in entries)}
    document.update(columns)
    document["dirs"] = [to_text(directory) for directory in directories]
    document["owners"] = [[owner.uid, owner.gid, owner.user, owner.group] for owner in owners]
    document.update(encode_items(items, table))
    document.update({key: value for key, value in sparse.items() if value})
    document.update(table.encode())
    return json.dumps(document, separators=(",", ":")).encode()


def _encode_rare(entry: Entry, number: str, table: SegmentTable, sparse: dict[str, dict[str, Any]]) -> None:
    if entry.item_pages is not None:
        sparse["lists"][number] = [
            encode_page_refs(table, (entry.item_pages,))[0],
            [list(volumes) for volumes in entry.item_volumes],
        ]
    if entry.xattrs:
        sparse["x"][number] = {
            to_text(name): base64.b64encode(value).decode() for name, value in sorted(entry.xattrs.items())
        }
    if entry.link_target:
        sparse["l"][number] = to_text(entry.link_target)
    if entry.link_group:
        sparse["h"][number] = entry.link_group
    if entry.device is not None:
        sparse["r"][number] = list(entry.device)
    if entry.flags:
        sparse["fl"][number] = list(entry.flags)


def encode_items(items: Sequence[Item], table: SegmentTable) -> dict[str, Any]:
    """Return the item columns ``sg``, ``of``, ``ln`` and ``ids``; holes have no id."""
    index = table.index
    return {
        "sg": [HOLE if item.segment is None else index(item.segment) for item in items],
        "of": [item.offset for item in items],
        "ln": [item.length for item in items],
        "ids": base64.b64encode(
            b"".join(item.chunk_id for item in items if item.segment is not None)
        ).decode(),
    }


def decode_items(document: dict[str, Any], segments: list[SegmentRef]) -> list[Item]:
    """Return the items of a page.  Raises FormatError."""
    ids = base64.b64decode(document["ids"])
    indexes, offsets, lengths = document["sg"], document["of"], document["ln"]
    if not len(indexes) == len(offsets) == len(lengths):
        raise FormatError("item columns differ in length")
    items = []
    position = 0
    for index, offset, length in zip(indexes, offsets, lengths, strict=True):
        check_number(offset, "content item")
        check_number(length, "content item")
        if index == HOLE:
            items.append(Item(None, 0, length, _ZERO_ID))
            continue
        segment = segments[check_index(index, len(segments))]
        if offset + length > segment.raw_size:
            raise FormatError("a content item reaches beyond its segment")
        items.append(Item(segment, offset, length, ids[position : position + ID_SIZE]))
        position += ID_SIZE
    if position != len(ids):
        raise FormatError("chunk ids and content items differ in number")
    return items


class LeafPage:
    """A decoded leaf page: columns for comparing, :meth:`entry` for everything about one row."""

    __slots__ = (
        "_document",
        "_item_starts",
        "_items",
        "_owners",
        "ctimes",
        "inodes",
        "modes",
        "mtimes",
        "paths",
        "segments",
        "sizes",
        "types",
    )

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self.types: str = document["t"]
        self.paths = _decode_paths(document)
        self.modes: list[int] = document["m"]
        self.mtimes: list[int] = document["mt"]
        self.ctimes: list[int] = document["ct"]
        self.inodes: list[int] = document["in"]
        self.sizes: list[int] = document["s"]
        rows = len(self.types)
        for key in ("d", "n", "m", "o", "mt", "ct", "in", "s", "c"):
            if len(document[key]) != rows:
                raise FormatError(f"column {key!r} has another length than the page")
        if not TYPES.issuperset(self.types):
            raise FormatError("an entry has an unknown type")
        self.segments = decode_segments(document)
        self._owners = [Owner(*row) for row in document["owners"]]
        self._items: list[Item] | None = None
        self._item_starts: list[int] = []

    def __len__(self) -> int:
        return len(self.types)

    def owner(self, row: int) -> Owner:
        """Return a row's owner."""
        return self._owners[check_index(self._document["o"][row], len(self._owners))]

    def items(self, row: int) -> list[Item]:
        """Return a row's own content items (empty when they are in item pages)."""
        if self._items is None:
            self._items = decode_items(self._document, self.segments)
            start = 0
            for count in self._document["c"]:
                if not 0 <= count <= MOST_ITEMS:
                    raise FormatError("an entry has an impossible number of content items")
                self._item_starts.append(start)
                start += count
            self._item_starts.append(start)
            if start != len(self._items):
                raise FormatError("entries and content items differ in number")
        return self._items[self._item_starts[row] : self._item_starts[row + 1]]

    def rare(self, key: str, row: int) -> Any:
        """Return a row's value in one of the sparse maps, None if it has none."""
        rows = self._document.get(key)
        return rows.get(str(row)) if rows else None

    def rows_with_item_pages(self) -> list[int]:
        """Return the rows whose content list is in item pages."""
        return [int(row) for row in self._document.get("lists", ())]

    def xattrs(self, row: int) -> dict[bytes, bytes]:
        """Return a row's extended attributes."""
        found = self.rare("x", row)
        return {to_bytes(name): base64.b64decode(value) for name, value in found.items()} if found else {}

    def entry(self, row: int) -> Entry:
        """Return one row as an :class:`Entry`."""
        lists, device, target = self.rare("lists", row), self.rare("r", row), self.rare("l", row)
        return Entry(
            path=self.paths[row],
            type=self.types[row],
            mode=check_number(self.modes[row], "mode") & 0o7777,
            owner=self.owner(row),
            mtime_ns=self.mtimes[row],
            ctime_ns=self.ctimes[row],
            inode=self.inodes[row],
            size=check_number(self.sizes[row], "size"),
            items=self.items(row),
            item_pages=decode_page_ref(lists[0], self.segments) if lists else None,
            item_volumes=tuple(map(_volume_range, lists[1])) if lists else (),
            link_target=to_bytes(target) if target is not None else b"",
            link_group=self.rare("h", row) or "",
            device=(device[0], device[1]) if device else None,
            xattrs=self.xattrs(row),
            flags=tuple(self.rare("fl", row) or ()),
        )

    def entries(self) -> Iterator[Entry]:
        """Yield every row."""
        return map(self.entry, range(len(self)))


def _volume_range(row: Any) -> VolumeRange:
    kind, backup, first, last = row
    if kind not in ("i", "d") or not isinstance(backup, str) or not ID.fullmatch(backup):
        raise FormatError("a volume range is malformed")
    return VolumeRange(kind, backup, check_number(first, "volume range"), check_number(last, "volume range"))


def _decode_paths(document: dict[str, Any]) -> list[bytes]:
    directories = [to_bytes(directory) for directory in document["dirs"]]
    for directory in directories:
        check_path(directory)
    prefixes = [directory + b"/" if directory else b"" for directory in directories]
    names = [to_bytes(name) for name in document["n"]]
    paths = []
    for index, name in zip(document["d"], names, strict=True):
        if not name or b"/" in name or b"\0" in name or name in (b".", b".."):
            _check_root(directories[check_index(index, len(prefixes))], name)
        paths.append(prefixes[check_index(index, len(prefixes))] + name)
    return paths


def _check_root(directory: bytes, name: bytes) -> None:
    """Allow the one nameless entry, ``/`` itself.  Raises FormatError."""
    if name or directory:
        raise FormatError(f"the name {name!r} is not allowed in a file list")
