# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Leaf pages: entries as columns of JSON (docs/format.md, "leaf: files")."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate
from operator import lt, sub
from typing import Any

from papi_backup.engine.format import FormatError
from papi_backup.engine.format.checked import (
    array,
    binary,
    mapping,
    number,
    numbers,
    text,
    texts,
)
from papi_backup.engine.format.entries import (
    BLOCK,
    CHARACTER,
    DIRECTORY,
    FILE,
    LARGEST_DEVICE,
    LARGEST_INODE,
    LARGEST_MODE,
    LARGEST_OWNER,
    LARGEST_TIME,
    MOST_ITEMS,
    SMALLEST_TIME,
    SYMLINK,
    TYPES,
    Entry,
    Owner,
    check_names,
    check_path,
    paths_to_bytes,
    to_bytes,
    walk_keys,
)
from papi_backup.engine.format.items import ItemTable
from papi_backup.engine.format.references import (
    Item,
    decode_page_ref,
    decode_segments,
    decode_volume_range,
)

RARE_MAPS = ("lists", "x", "l", "h", "r", "fl")
"""Members that hold a value for some rows only."""
_LONGEST_GROUP = 64
_FEW_ROWS = 8
"""Rows of a page whose items are asked for one by one before all of them are made."""


class LeafPage:
    """A decoded leaf page: columns for comparing, :meth:`entry` for everything about one row.

    Paths, columns and tables are checked when it is made, the rest of a row by :meth:`entry` and
    content items by :meth:`items`; both raise FormatError.
    """

    __slots__ = (
        "_counts",
        "_document",
        "_item_starts",
        "_item_table",
        "_items",
        "_maps",
        "_owner_rows",
        "_owners",
        "_rows_asked",
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
        self.types = text(document.get("t"), "the types")
        if not self.types or not TYPES.issuperset(self.types):
            raise FormatError("an entry has an unknown type, or there is none")
        self.modes = self._column("m", 0, LARGEST_MODE)
        self.mtimes = self._column("mt", SMALLEST_TIME, LARGEST_TIME)
        self.ctimes = self._column("ct", SMALLEST_TIME, LARGEST_TIME)
        self.inodes = self._column("in", 0, LARGEST_INODE)
        self.sizes = self._column("s")
        self._counts = self._column("c", 0, MOST_ITEMS)
        self._owners = [_owner(row) for row in array(document.get("owners"), "the owners")]
        self._owner_rows = self._column("o", 0, len(self._owners) - 1)
        self.paths = self._decode_paths()
        self.segments = decode_segments(document)
        self._maps = {key: self._rare(key) for key in RARE_MAPS if key in document}
        self._item_table: ItemTable | None = None
        self._item_starts: list[int] = []
        self._items: list[Item] = []
        self._rows_asked = 0

    def __len__(self) -> int:
        return len(self.types)

    def columns(self, start: int, stop: int) -> dict[str, list[int]]:
        """Return the number columns of the rows from ``start`` up to ``stop``, by their JSON names."""
        return {key: self._document[key][start:stop] for key in ("d", "m", "o", "mt", "ct", "in", "s", "c")}

    @property
    def owners(self) -> list[Owner]:
        """The owners to which column ``o`` refers."""
        return self._owners

    @property
    def directories(self) -> list[str]:
        """The directories, as text, to which column ``d`` refers."""
        directories: list[str] = self._document["dirs"]
        return directories

    @property
    def names(self) -> list[str]:
        """Each row's name in its directory, as text."""
        names: list[str] = self._document["n"]
        return names

    def owner(self, row: int) -> Owner:
        """Return a row's owner."""
        return self._owners[self._owner_rows[row]]

    def items(self, row: int) -> list[Item]:
        """Return a row's own content items (empty when they are in item pages)."""
        return self.items_of(row, row + 1)

    def items_of(self, start: int, stop: int) -> list[Item]:
        """Return the own content items of the rows from ``start`` up to ``stop``, one after the other."""
        table, first, last = self.items_in(start, stop)
        if not self._items:
            self._rows_asked += stop - start
            if self._rows_asked <= _FEW_ROWS:
                return table.items(first, last)
            self._items = table.items(0, len(table))
        return self._items[first:last]

    def items_in(self, start: int, stop: int) -> tuple[ItemTable, int, int]:
        """Return all items of the page, and between which of them those of some rows are."""
        table = self._item_table if self._item_table is not None else self._checked_items()
        return table, self._item_starts[start], self._item_starts[stop]

    def rare_rows(self, start: int, stop: int) -> list[int]:
        """Return the rows from ``start`` up to ``stop`` that the columns do not tell everything of."""
        rows = {int(row) for rows in self._maps.values() for row in rows}
        return sorted(row for row in rows if start <= row < stop)

    def rare(self, key: str, row: int) -> Any:
        """Return a row's value in one of the sparse maps, unchecked; None if it has none."""
        rows = self._maps.get(key)
        return rows.get(str(row)) if rows else None

    def flagged_rows(self) -> list[int]:
        """Return the rows that have flags."""
        return [int(row) for row in self._maps.get("fl", ())]

    def rows_with_item_pages(self) -> list[int]:
        """Return the rows whose content list is in item pages."""
        return [int(row) for row in self._maps.get("lists", ())]

    def xattrs(self, row: int) -> dict[bytes, bytes]:
        """Return a row's extended attributes."""
        found = self.rare("x", row)
        if found is None:
            return {}
        attributes = {}
        for name, value in mapping(found, "extended attributes").items():
            attributes[_no_nul(to_bytes(name), "an attribute's name")] = binary(value, "an attribute")
        return attributes

    def entry(self, row: int) -> Entry:
        """Return one row as an :class:`Entry`."""
        lists, device, target = self.rare("lists", row), self.rare("r", row), self.rare("l", row)
        entry = Entry(
            path=self.paths[row],
            type=self.types[row],
            mode=self.modes[row],
            owner=self.owner(row),
            mtime_ns=self.mtimes[row],
            ctime_ns=self.ctimes[row],
            inode=self.inodes[row],
            size=self.sizes[row],
            items=self.items(row),
        )
        if not self._maps:
            _check_kind(entry)
            return entry
        if lists is not None:
            page, volumes = array(lists, "item pages", 2, 2)
            entry.item_pages = decode_page_ref(page, self.segments)
            entry.item_volumes = tuple(map(decode_volume_range, array(volumes, "volume ranges")))
        if target is not None:
            entry.link_target = _no_nul(to_bytes(text(target, "a link's target")), "a link's target")
        if device is not None:
            major, minor = numbers(array(device, "a device", 2, 2), "a device", 0, LARGEST_DEVICE)
            entry.device = (major, minor)
        entry.link_group = text(self.rare("h", row) or "", "a link group")
        entry.xattrs = self.xattrs(row)
        entry.flags = tuple(texts(self.rare("fl", row) or [], "flags"))
        _check_kind(entry)
        return entry

    def entries(self) -> Iterator[Entry]:
        """Yield every row."""
        return map(self.entry, range(len(self)))

    def _column(self, key: str, least: int = 0, most: int = (1 << 63) - 1) -> list[int]:
        column = numbers(self._document.get(key), f"column {key!r}", least, most)
        if len(column) != len(self.types):
            raise FormatError(f"column {key!r} has another length than the page")
        return column

    def _rare(self, key: str) -> dict[str, Any]:
        rows = mapping(self._document[key], f"the map {key!r}")
        if not set(map(str, range(len(self)))).issuperset(rows):
            raise FormatError(f"the map {key!r} names a row that does not exist")
        return rows

    def _decode_paths(self) -> list[bytes]:
        """Return the paths.  Raises FormatError unless they are safe and in strict walk order."""
        directories = paths_to_bytes(texts(self._document.get("dirs"), "the directories"))
        for directory in directories:
            check_path(directory)
        prefixes = [directory + b"/" if directory else b"" for directory in directories]
        places = self._column("d", 0, len(prefixes) - 1)
        names = paths_to_bytes(texts(self._document.get("n"), "the names"))
        if len(names) != len(places):
            raise FormatError("column 'n' has another length than the page")
        # The root itself has neither directory nor name; being the least of all, it can only be first.
        root = 1 if not names[0] and not prefixes[places[0]] else 0
        check_names(names[root:])
        paths = [prefixes[place] + name for place, name in zip(places, names, strict=True)]
        keys = walk_keys(paths)
        if not all(map(lt, keys, keys[1:])):
            raise FormatError("entries are not in walk order")
        return paths

    def _checked_items(self) -> ItemTable:
        """Return the items, of which each file has as many bytes as it should.  Raises FormatError."""
        table = ItemTable(self._document, self.segments)
        starts = [0, *accumulate(self._counts)]
        if starts[-1] != len(table):
            raise FormatError("entries and content items differ in number")
        before = [0, *accumulate(table.lengths)]
        bounds = [before[start] for start in starts]
        sizes = list(map(sub, bounds[1:], bounds))
        for row in self.rows_with_item_pages():
            if self._counts[row]:
                raise FormatError("a content list is both here and in item pages")
            sizes[row] = self.sizes[row]
        if sizes != self.sizes:
            raise FormatError("a file's size and its content items differ")
        self._item_table, self._item_starts = table, starts
        return table


def _owner(row: Any) -> Owner:
    uid, gid, user, group = array(row, "an owner", 4, 4)
    return Owner(
        number(uid, "an owner", 0, LARGEST_OWNER),
        number(gid, "an owner", 0, LARGEST_OWNER),
        text(user, "an owner's name"),
        text(group, "a group's name"),
    )


def _no_nul(name: bytes, what: str) -> bytes:
    if not name or b"\0" in name:
        raise FormatError(f"{what} is empty or holds a zero byte")
    return name


def _check_kind(entry: Entry) -> None:
    """Refuse what contradicts an entry's type.  Raises FormatError."""
    kind = entry.type
    contradiction = (
        bool(entry.link_target) != (kind == SYMLINK)
        or (entry.device is not None) != (kind in (CHARACTER, BLOCK))
        or (kind != FILE and (entry.size or entry.items or entry.item_pages is not None))
        or (kind == DIRECTORY and entry.link_group)
        or (kind != DIRECTORY and not entry.path)
        or len(entry.link_group) > _LONGEST_GROUP
    )
    if contradiction:
        raise FormatError(f"{entry.path!r} has members that its type cannot have, or lacks one")
