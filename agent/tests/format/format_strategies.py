# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hypothesis strategies for everything the format holds, and for hostile JSON."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import strategies as st

from papi_backup.engine.format.entries import (
    LARGEST_TIME,
    MOST_ITEMS,
    SMALLEST_TIME,
    Entry,
    Owner,
    walk_key,
)
from papi_backup.engine.format.pages import Volume
from papi_backup.engine.format.references import Item, PageRef, SegmentRef, VolumeRange
from papi_backup.engine.format.segment import LARGEST_SEALED, LARGEST_SEGMENT, SMALLEST_SEALED

LARGEST = (1 << 63) - 1
ids = st.integers(0, (1 << 64) - 1).map(lambda number: f"{number:016x}")
names = (
    st.one_of(st.binary(max_size=12), st.text(max_size=8).map(lambda text: text.encode("utf-8", "ignore")))
    .map(lambda name: name.replace(b"/", b"").replace(b"\0", b""))
    .filter(lambda name: name not in (b"", b".", b".."))
)
paths = st.lists(names, max_size=4).map(b"/".join)
numbers = st.integers(0, LARGEST)
times = st.one_of(st.integers(SMALLEST_TIME, LARGEST_TIME), st.integers(-(10**9), 2 * 10**18))


@st.composite
def segments(draw: st.DrawFn) -> SegmentRef:
    """A reference to a segment."""
    length = draw(st.integers(SMALLEST_SEALED, LARGEST_SEALED))
    return SegmentRef(
        draw(ids),
        draw(numbers),
        draw(st.integers(0, LARGEST - length)),
        length,
        draw(st.integers(1, LARGEST_SEGMENT)),
        draw(st.binary(min_size=32, max_size=32)),
    )


@st.composite
def page_refs(draw: st.DrawFn) -> PageRef:
    """A reference to a page."""
    segment = draw(segments())
    length = draw(st.integers(1, segment.raw_size))
    return PageRef(segment, draw(st.integers(0, segment.raw_size - length)), length)


@st.composite
def items(draw: st.DrawFn) -> Item:
    """A piece of content: mostly stored, sometimes a hole."""
    if draw(st.integers(0, 4)) == 0:
        return Item(None, 0, draw(st.integers(1, 1 << 40)), bytes(16))
    page = draw(page_refs())
    return Item(page.segment, page.offset, page.length, draw(st.binary(min_size=16, max_size=16)))


owners = st.builds(
    Owner,
    st.integers(0, (1 << 32) - 2),
    st.integers(0, (1 << 32) - 2),
    st.text(max_size=6),
    st.text(max_size=6),
)
volume_ranges = st.builds(
    VolumeRange, st.sampled_from("id"), ids, st.integers(0, 99), st.integers(99, LARGEST)
)
attributes = st.dictionaries(
    st.binary(min_size=1, max_size=8).map(lambda name: name.replace(b"\0", b"x")),
    st.binary(max_size=30),
    max_size=2,
)


@st.composite
def entries(draw: st.DrawFn, path: bytes) -> Entry:
    """One entry of any type."""
    kind = draw(st.sampled_from("ffffdlpcb")) if path else "d"
    entry = Entry(
        path=path,
        type=kind,
        mode=draw(st.integers(0, 0o7777)),
        owner=draw(owners),
        mtime_ns=draw(times),
        ctime_ns=draw(times),
        inode=draw(st.integers(0, (1 << 64) - 1)),
        xattrs=draw(attributes),
        flags=tuple(
            draw(st.lists(st.sampled_from(["ancestor", "changed", "of a later version"]), max_size=2))
        ),
    )
    if kind == "f" and draw(st.integers(0, 5)) == 0:
        entry.size = draw(numbers)
        entry.item_pages = draw(page_refs())
        entry.item_volumes = tuple(draw(st.lists(volume_ranges, max_size=3)))
    elif kind == "f":
        entry.items = draw(st.lists(items(), max_size=5))
        entry.size = sum(item.length for item in entry.items)
    if kind == "l":
        entry.link_target = draw(st.binary(min_size=1, max_size=20).map(lambda raw: raw.replace(b"\0", b"x")))
    if kind in "cb":
        entry.device = (draw(st.integers(0, (1 << 32) - 1)), draw(st.integers(0, (1 << 32) - 1)))
    if kind != "d" and draw(st.booleans()):
        entry.link_group = draw(st.text(min_size=1, max_size=20))
    return entry


@st.composite
def leaves(draw: st.DrawFn) -> list[Entry]:
    """The entries of one leaf page, in walk order."""
    chosen = sorted(draw(st.sets(paths, min_size=1, max_size=8)), key=walk_key)
    return [draw(entries(path)) for path in chosen]


volume_tables = st.dictionaries(
    st.tuples(ids, st.sampled_from("id"), st.integers(0, 40)), st.integers(1, LARGEST), max_size=12
).map(lambda table: tuple(sorted(Volume(*place, size) for place, size in table.items())))

hostile_values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from(
        [1 << 63, 1 << 64, -1, -(1 << 70), 1.0, 1e308, float("nan"), "", "..", "/", "\0", "\ud800", "=="]
    ),
    st.text(max_size=5),
    st.lists(st.integers(-2, 300), max_size=4),
    st.just([[]]),
    st.just({}),
    st.dictionaries(st.sampled_from(["0", "1", "-1", "k", "\u0661"]), st.integers(), max_size=2),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the way to every value inside a JSON document."""
    found = [path] if path else []
    members = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, member in members:
        found.extend(places(member, (*path, key)))
    return found


@st.composite
def mutations(draw: st.DrawFn, document: Any) -> Any:
    """The document with one value replaced, removed or doubled."""
    document = copy.deepcopy(document)
    *above, last = draw(st.sampled_from(places(document)))
    holder = document
    for key in above:
        holder = holder[key]
    what = draw(st.sampled_from(["replace", "replace", "remove", "double"]))
    if what == "remove":
        del holder[last]
    elif what == "double" and isinstance(holder, list):
        holder.insert(last, holder[last])
    else:
        holder[last] = draw(hostile_values)
    return document


__all__ = [
    "LARGEST",
    "MOST_ITEMS",
    "ids",
    "items",
    "leaves",
    "mutations",
    "names",
    "owners",
    "page_refs",
    "paths",
    "segments",
    "times",
    "volume_tables",
]
