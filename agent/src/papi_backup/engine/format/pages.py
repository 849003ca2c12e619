# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pages above the leaves: nodes, item pages, volume pages (docs/format.md, "Pages")."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

from papi_backup.engine.format import FormatError
from papi_backup.engine.format.checked import (
    LARGEST_NUMBER,
    array,
    identifier,
    load_object,
    number,
    numbers,
    shown,
    text,
)
from papi_backup.engine.format.entries import to_bytes, to_text, walk_key
from papi_backup.engine.format.items import ItemTable
from papi_backup.engine.format.json_text import decode, encode
from papi_backup.engine.format.leaf import LeafPage
from papi_backup.engine.format.leaf_encoding import ItemColumns
from papi_backup.engine.format.references import (
    Item,
    PageRef,
    SegmentRef,
    SegmentTable,
    decode_page_ref,
    decode_segments,
)
from papi_backup.engine.format.segment import Buffer

LEAF_ENTRIES = 256
LEAST_LEAF_ENTRIES = 64
MOST_LEAF_ENTRIES = 1024
LARGEST_LEAF = 128 * 1024
"""Raw bytes at which a leaf is closed early; one entry alone may exceed it."""
NODE_CHILDREN = 256
MOST_VOLUMES = 1 << 16
"""Volumes in one piece of a table."""


class Child(NamedTuple):
    """A node's child: where it is, its first path, how many entries are below it."""

    page: PageRef
    first: bytes
    entries: int


class ItemChild(NamedTuple):
    """An item node's child: where it is and how many content bytes are below it."""

    page: PageRef
    length: int


class Volume(NamedTuple):
    """One volume a backup needs; ``kind`` is ``i`` or ``d``, ``size`` in bytes."""

    backup: str
    kind: str
    number: int
    size: int


@dataclass(frozen=True, slots=True)
class NodePage:
    """An inner page of the file list."""

    children: tuple[Child, ...]


@dataclass(frozen=True, slots=True)
class ItemsPage:
    """A piece of a long content list: items, or children that hold them."""

    items: tuple[Item, ...] = ()
    children: tuple[ItemChild, ...] = ()


@dataclass(frozen=True, slots=True)
class VolumesPage:
    """A piece of a long volume table."""

    volumes: tuple[Volume, ...]


Page = LeafPage | NodePage | ItemsPage | VolumesPage


def encode_node(children: Sequence[Child]) -> bytes:
    """Return an inner page."""
    table = SegmentTable()
    rows = [
        [
            table.index(child.page.segment),
            child.page.offset,
            child.page.length,
            to_text(child.first),
            child.entries,
        ]
        for child in children
    ]
    return encode({"k": "node", "c": rows, **table.encode()})


def encode_items_page(items: Sequence[Item]) -> bytes:
    """Return a page of content items."""
    table = SegmentTable()
    columns = ItemColumns(table)
    columns.extend(items)
    return encode({"k": "items", **columns.encode(), **table.encode()})


def encode_items_node(children: Sequence[ItemChild]) -> bytes:
    """Return a page of pages of content items."""
    table = SegmentTable()
    rows = [[table.index(c.page.segment), c.page.offset, c.page.length, c.length] for c in children]
    return encode({"k": "itemsnode", "c": rows, **table.encode()})


def encode_volumes_page(volumes: Sequence[Volume]) -> bytes:
    """Return a page of the volume table."""
    return encode({"k": "volumes", "v": encode_volumes(volumes)})


def encode_volumes(volumes: Sequence[Volume]) -> list[list[Any]]:
    """Return volumes as rows ``[backup, kind, first number, [sizes…]]`` of consecutive numbers."""
    rows: list[list[Any]] = []
    last: Volume | None = None
    for volume in sorted(volumes):
        if last is not None and (volume.backup, volume.kind, volume.number - 1) == last[:3]:
            rows[-1][3].append(volume.size)
        else:
            rows.append([volume.backup, volume.kind, volume.number, [volume.size]])
        last = volume
    return rows


def decode_volumes(rows: Any) -> tuple[Volume, ...]:
    """Undo :func:`encode_volumes`: strictly increasing, each of at least one byte.  Raises FormatError."""
    volumes: list[Volume] = []
    for row in array(rows, "a volume table"):
        backup, kind, first, sizes = array(row, "a volume table row", 4, 4)
        identifier(backup, "a volume table row")
        if kind not in ("i", "d"):
            raise FormatError("a volume table row is of an unknown kind")
        numbers(sizes, "a volume table row", 1)
        number(first, "a volume table row", 0, LARGEST_NUMBER - len(sizes))
        if len(volumes) + len(sizes) > MOST_VOLUMES:
            raise FormatError("a piece of a volume table is too long")
        volumes.extend(Volume(backup, kind, first + step, size) for step, size in enumerate(sizes))
    if any(one[:3] >= other[:3] for one, other in pairwise(volumes)):
        raise FormatError("a volume table is not in order")
    return tuple(volumes)


def decode_page(raw: Buffer) -> Page:
    """Return the page of any kind behind authenticated bytes.  Raises FormatError."""
    try:
        return _page_of(load_object(raw, "a page", decode))
    except FormatError:
        # Malformed, or with a time of more than 64 bits.
        return _page_of(load_object(raw, "a page"))


def _page_of(document: dict[str, Any]) -> Page:
    kind = document.get("k")
    if kind == "leaf":
        return LeafPage(document)
    if kind == "volumes":
        return VolumesPage(decode_volumes(document.get("v")))
    segments = decode_segments(document)
    if kind == "node":
        return NodePage(_children(document, segments))
    if kind == "items":
        table = ItemTable(document, segments)
        return ItemsPage(items=tuple(table.items(0, len(table))))
    if kind == "itemsnode":
        return ItemsPage(
            children=tuple(
                ItemChild(decode_page_ref(row, segments), number(row[3], "an item node", 1))
                for row in _rows(document, 4)
            )
        )
    raise FormatError(f"a page is of the unknown kind {shown(kind)}")


def _rows(document: dict[str, Any], width: int) -> list[list[Any]]:
    return [array(row, "a node's row", width, width) for row in array(document.get("c"), "a node", 1)]


def _children(document: dict[str, Any], segments: list[SegmentRef]) -> tuple[Child, ...]:
    children = tuple(
        Child(decode_page_ref(row, segments), to_bytes(text(row[3], "a node")), number(row[4], "a node", 1))
        for row in _rows(document, 5)
    )
    if any(walk_key(one.first) >= walk_key(other.first) for one, other in pairwise(children)):
        raise FormatError("a node's children are not in walk order")
    return children
