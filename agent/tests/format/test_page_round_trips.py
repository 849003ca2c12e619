# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every page comes back as it was written, and hostile ones end in FormatError."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from format_strategies import LARGEST, items, leaves, mutations, page_refs, paths, volume_tables
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from storage_maker import an_entry

from papi_backup.engine.format import FormatError
from papi_backup.engine.format.entries import (
    DIRECTORY,
    SYMLINK,
    Entry,
    check_path,
    paths_to_bytes,
    to_bytes,
    to_text,
    walk_key,
    walk_keys,
)
from papi_backup.engine.format.leaf import LeafPage
from papi_backup.engine.format.leaf_encoding import LeafEncoder, encode_leaf
from papi_backup.engine.format.pages import (
    MOST_VOLUMES,
    Child,
    ItemChild,
    ItemsPage,
    NodePage,
    Volume,
    VolumesPage,
    decode_page,
    encode_items_node,
    encode_items_page,
    encode_node,
    encode_volumes_page,
)
from papi_backup.engine.format.references import Item, PageRef, SegmentRef

SEGMENT = SegmentRef("00000000000000aa", 3, 4096, 1024, 4000, bytes(32))
ITEM = Item(SEGMENT, 10, 20, b"i" * 16)
many = settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])


def decoded_leaf(raw: bytes) -> LeafPage:
    page = decode_page(raw)
    assert isinstance(page, LeafPage)
    return page


@given(leaves())
def test_a_leaf_comes_back_with_everything_about_every_file(entries: list[Entry]) -> None:
    page = decoded_leaf(encode_leaf(entries))
    assert list(page.entries()) == entries
    assert page.paths == [entry.path for entry in entries]
    assert page.mtimes == [entry.mtime_ns for entry in entries]
    assert page.types == "".join(entry.type for entry in entries)
    assert len(page) == len(entries)


@given(leaves(), st.lists(st.tuples(st.integers(1, 8), st.booleans()), max_size=8))
def test_rows_taken_over_from_earlier_pages_are_what_they_were(
    entries: list[Entry], cuts: list[tuple[int, bool]]
) -> None:
    """Runs of rows, fresh entries between them, each run from a page that holds more than it."""
    whole = decoded_leaf(encode_leaf(entries))
    encoder, row = LeafEncoder(), 0
    for length, fresh in [*cuts, (len(entries), False)]:
        stop = min(row + length, len(entries))
        if fresh:
            for entry in entries[row:stop]:
                encoder.add(entry)
        else:
            page, start = (whole, row) if length % 2 else (decoded_leaf(encode_leaf(entries[row:])), 0)
            encoder.extend(page, start, start + stop - row)
        row = stop
        if row == len(entries):
            break
    assert len(encoder) == len(entries)
    assert list(decoded_leaf(encoder.encode()).entries()) == entries


@given(leaves())
def test_a_page_is_ascii_whatever_the_names(entries: list[Entry]) -> None:
    assert encode_leaf(entries).isascii()


@given(st.lists(items(), max_size=20))
def test_an_item_page_comes_back(content: list[Item]) -> None:
    assert decode_page(encode_items_page(content)) == ItemsPage(items=tuple(content))


@given(st.lists(st.builds(ItemChild, page_refs(), st.integers(1, LARGEST)), min_size=1, max_size=5))
def test_a_node_of_item_pages_comes_back(children: list[ItemChild]) -> None:
    assert decode_page(encode_items_node(children)) == ItemsPage(children=tuple(children))


@given(st.data(), st.sets(paths, min_size=1, max_size=6))
def test_a_node_comes_back(data: st.DataObject, firsts: set[bytes]) -> None:
    children = tuple(
        Child(data.draw(page_refs()), first, data.draw(st.integers(1, LARGEST)))
        for first in sorted(firsts, key=walk_key)
    )
    assert decode_page(encode_node(children)) == NodePage(children)


@given(volume_tables)
def test_a_volume_table_comes_back(volumes: tuple[Volume, ...]) -> None:
    assert decode_page(encode_volumes_page(volumes)) == VolumesPage(volumes)


def test_consecutive_volumes_take_one_row() -> None:
    table = [Volume("0" * 16, "d", number, 1 << 20) for number in range(1000)]
    assert len(json.loads(encode_volumes_page(table))["v"]) == 1


@given(st.binary())
def test_any_bytes_survive_as_text(name: bytes) -> None:
    assert to_bytes(to_text(name)) == name
    assert json.loads(json.dumps(to_text(name))) == to_text(name)


@given(st.lists(st.binary().map(lambda name: name.replace(b"\0", b""))))
def test_many_names_at_once_are_each_as_alone(names: list[bytes]) -> None:
    assert paths_to_bytes([to_text(name) for name in names]) == names


@given(st.lists(paths))
def test_walk_order_is_the_order_of_components(found: list[bytes]) -> None:
    by_components = sorted(found, key=lambda path: path.split(b"/") if path else [])
    assert sorted(found, key=walk_key) == by_components
    assert walk_keys(found) == [walk_key(path) for path in found]


def test_a_directory_comes_right_before_what_is_in_it() -> None:
    names = [b"a-b", b"a/b", b"a", b"a!", b"a/\x01", b""]
    assert sorted(names, key=walk_key) == [b"", b"a", b"a/\x01", b"a/b", b"a!", b"a-b"]


@pytest.mark.parametrize(
    "path", [b"..", b"a/..", b"../a", b"a/../b", b"/a", b"a/", b"a//b", b".", b"a/./b", b"a\0", b"/"]
)
def test_a_path_that_could_leave_the_target_is_refused(path: bytes) -> None:
    with pytest.raises(FormatError):
        check_path(path)


def leaf(change: Callable[[dict[str, Any]], Any], *entries: Entry) -> bytes:
    document = json.loads(encode_leaf(entries or (an_entry(b"a/b", size=20, items=[ITEM]),)))
    change(document)
    return json.dumps(document).encode()


HOSTILE_LEAVES: list[tuple[str, Callable[[dict[str, Any]], Any]]] = [
    ("name is dot dot", lambda page: page.update(n=[".."])),
    ("name holds a slash", lambda page: page.update(n=["b/c"])),
    ("name is absolute", lambda page: page.update(n=["/etc/passwd"])),
    ("name is empty", lambda page: page.update(n=[""])),
    ("name holds a zero byte", lambda page: page.update(n=["b\0c"])),
    ("name is a number", lambda page: page.update(n=[7])),
    ("name with a high surrogate", lambda page: page.update(n=["\ud800"])),
    ("name with a surrogate for a slash", lambda page: page.update(n=["\udc2f"])),
    ("file that is the root", lambda page: page.update(n=[""], dirs=[""])),
    ("directory is dot dot", lambda page: page.update(dirs=["a/../.."])),
    ("directory is absolute", lambda page: page.update(dirs=["/a"])),
    ("directory holds a zero byte", lambda page: page.update(dirs=["a\0b"])),
    ("directory of no row", lambda page: page.update(d=[1])),
    ("directory from the end", lambda page: page.update(d=[-1])),
    ("no rows", lambda page: page.update(t="")),
    ("more types than rows", lambda page: page.update(t="ff")),
    ("unknown type", lambda page: page.update(t="s")),
    ("types a list", lambda page: page.update(t=["f"])),
    ("file type without its parts", lambda page: page.update(t="l")),
    ("device without numbers", lambda page: page.update(t="c")),
    ("directory with content", lambda page: page.update(t="d")),
    ("owner of no row", lambda page: page.update(o=[1])),
    ("owner that means nobody", lambda page: page.update(owners=[[(1 << 32) - 1, 0, "", ""]])),
    ("owner with a negative number", lambda page: page.update(owners=[[-1, 0, "", ""]])),
    ("owner of three", lambda page: page.update(owners=[[0, 0, ""]])),
    ("mode beyond permissions", lambda page: page.update(m=[0o10000])),
    ("size beyond 63 bits", lambda page: page.update(s=[1 << 63])),
    ("size true", lambda page: page.update(s=[True])),
    ("size a float", lambda page: page.update(s=[20.0])),
    ("size other than the content", lambda page: page.update(s=[21])),
    ("time beyond 64-bit seconds", lambda page: page.update(mt=[(1 << 63) * 10**9])),
    ("inode negative", lambda page: page.update(**{"in": [-1]})),
    ("count negative", lambda page: page.update(c=[-1])),
    ("count beyond the items", lambda page: page.update(c=[2])),
    ("count beyond the limit", lambda page: page.update(c=[65])),
    ("item beyond its segment", lambda page: page.update(of=[3990])),
    ("item of no bytes", lambda page: page.update(ln=[0])),
    ("item of no segment", lambda page: page.update(sg=[1])),
    ("item of a segment from the end", lambda page: page.update(sg=[-2])),
    ("hole with an id", lambda page: page.update(sg=[-1])),
    ("ids too short", lambda page: page.update(ids="")),
    ("ids no base64", lambda page: page.update(ids="!" * 24)),
    ("segment of no backup", lambda page: page["segs"][0].__setitem__(0, 1)),
    ("segment of a backup from the end", lambda page: page["segs"][0].__setitem__(0, -1)),
    ("backup id a path", lambda page: page.update(backups=["../../../../etc/"])),
    ("backup id too long", lambda page: page.update(backups=["0" * 17])),
    ("volume negative", lambda page: page["segs"][0].__setitem__(1, -1)),
    ("volume huge", lambda page: page["segs"][0].__setitem__(1, 1 << 64)),
    ("offset and length overflow", lambda page: page["segs"][0].__setitem__(2, LARGEST)),
    ("length of a terabyte", lambda page: page["segs"][0].__setitem__(3, 1 << 40)),
    ("length of nothing", lambda page: page["segs"][0].__setitem__(3, 0)),
    ("raw size of a terabyte", lambda page: page["segs"][0].__setitem__(4, 1 << 40)),
    ("MAC too short", lambda page: page["segs"][0].__setitem__(5, "AAAA")),
    ("MAC not ASCII", lambda page: page["segs"][0].__setitem__(5, "é" * 44)),
    ("map for no row", lambda page: page.update(x={"1": {}})),
    ("map with another spelling of a row", lambda page: page.update(x={"00": {}})),
    ("map with Arabic digits", lambda page: page.update(x={"\u0660": {}})),
    ("map a list", lambda page: page.update(x=[])),
    ("attributes a list", lambda page: page.update(x={"0": []})),
    ("attribute without name", lambda page: page.update(x={"0": {"": "AAAA"}})),
    ("attribute no base64", lambda page: page.update(x={"0": {"user.a": "A"}})),
    ("link target of a file", lambda page: page.update(l={"0": "x"})),
    ("link group a list", lambda page: page.update(h={"0": [1]})),
    ("link group endless", lambda page: page.update(h={"0": "x" * 65})),
    ("device of a file", lambda page: page.update(r={"0": [1, 2]})),
    ("device huge", lambda page: page.update(r={"0": [1 << 32, 0]})),
    ("flags a text", lambda page: page.update(fl={"0": "ancestor"})),
    ("item pages and items", lambda page: page.update(lists={"0": [[0, 0, 1], []]})),
    ("item pages malformed", lambda page: page.update(lists={"0": {}})),
    ("a column missing", lambda page: page.pop("in")),
    ("the table missing", lambda page: page.pop("segs")),
]


@pytest.mark.parametrize(
    "change", [change for _name, change in HOSTILE_LEAVES], ids=[name for name, _change in HOSTILE_LEAVES]
)
def test_a_hostile_leaf_is_refused(change: Callable[[dict[str, Any]], Any]) -> None:
    with pytest.raises(FormatError):
        list(decoded_leaf(leaf(change)).entries())


def test_the_leaf_that_hostile_ones_are_made_of_is_honest() -> None:
    assert len(list(decoded_leaf(leaf(lambda page: page)).entries())) == 1


@pytest.mark.parametrize(
    "entries",
    [
        [an_entry(b"b"), an_entry(b"a")],
        [an_entry(b"a"), an_entry(b"a")],
        [an_entry(b"a-b"), an_entry(b"a/b")],
        [an_entry(b"a"), an_entry(b"", DIRECTORY)],
        [an_entry(b"", DIRECTORY), an_entry(b"", DIRECTORY)],
        [an_entry(b"x", SYMLINK, link_target=b"/etc"), an_entry(b"x", DIRECTORY), an_entry(b"x/passwd")],
    ],
    ids=["backwards", "twice", "not the walk's", "root last", "two roots", "link, then what is behind it"],
)
def test_entries_out_of_walk_order_are_refused(entries: list[Entry]) -> None:
    with pytest.raises(FormatError, match=r"order|empty"):
        decoded_leaf(encode_leaf(entries))


def test_times_before_1970_and_after_2262_are_kept() -> None:
    times = [-(10**18), -1, 0, 1 << 63, (1 << 63) * 10**9 - 1, -(1 << 63) * 10**9]
    entries = [an_entry(b"%d" % row, mtime_ns=time, ctime_ns=time) for row, time in enumerate(times)]
    assert [entry.mtime_ns for entry in decoded_leaf(encode_leaf(entries)).entries()] == times


def test_an_unknown_flag_and_an_unknown_member_are_ignored() -> None:
    page = decoded_leaf(leaf(lambda found: found.update(later={"0": 1}), an_entry(b"a", flags=("later",))))
    assert page.entry(0).flags == ("later",)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b'{"k":[]}',
        b'{"k":"later","backups":[],"segs":[]}',
        b'{"k":"node","c":[],"backups":[],"segs":[]}',
        b'{"k":"itemsnode","c":[],"backups":[],"segs":[]}',
        b'{"k":"node","c":{},"backups":[],"segs":[]}',
        b'{"k":"volumes"}',
        json.dumps({"k": "volumes", "v": []}).encode("utf-16"),
        '{"k":"volumes","v":[],"x":"é"}'.encode(),
        b"[" * 1_000_000,
        b'{"k":' * 500_000,
        b'{"k":' + b"1" * 10_000 + b"}",
    ],
    ids=range(15),
)
def test_what_is_no_page_is_refused(raw: bytes) -> None:
    with pytest.raises(FormatError):
        decode_page(raw)


VOLUME_ROW: list[Any] = ["00000000000000aa", "d", 0, [1, 2]]


@pytest.mark.parametrize(
    "rows",
    [
        {},
        [None],
        [[]],
        [[*VOLUME_ROW, 1]],
        [["../../../../../a", "d", 0, [1]]],
        [["00000000000000aa", "x", 0, [1]]],
        [["00000000000000aa", ["d"], 0, [1]]],
        [["00000000000000aa", "d", -1, [1]]],
        [["00000000000000aa", "d", LARGEST, [1, 2]]],
        [["00000000000000aa", "d", 0, [0]]],
        [["00000000000000aa", "d", 0, [1 << 63]]],
        [["00000000000000aa", "d", 0, ["1"]]],
        [["00000000000000aa", "d", 0, [1] * (MOST_VOLUMES + 1)]],
        [VOLUME_ROW, VOLUME_ROW],
        [VOLUME_ROW, ["00000000000000aa", "d", 1, [5]]],
        [VOLUME_ROW, ["0000000000000001", "d", 0, [5]]],
    ],
    ids=range(16),
)
def test_an_absurd_volume_table_is_refused(rows: Any) -> None:
    with pytest.raises(FormatError):
        decode_page(json.dumps({"k": "volumes", "v": rows}).encode())


def touch(raw: bytes) -> None:
    """Use everything a page offers; FormatError is the only way out."""
    with contextlib.suppress(FormatError):
        page = decode_page(raw)
        if isinstance(page, LeafPage):
            page.rows_with_item_pages()
            list(page.entries())


@many
@given(st.data())
def test_no_mutated_page_raises_anything_but_a_format_error(data: st.DataObject) -> None:
    reference = PageRef(SEGMENT, 1, 2)
    pages = [
        encode_leaf(data.draw(leaves())),
        encode_items_page([ITEM, Item(None, 0, 5, bytes(16))]),
        encode_node([Child(reference, b"", 3), Child(reference, b"a", 3)]),
        encode_items_node([ItemChild(reference, 9)]),
        encode_volumes_page([Volume("0" * 16, "i", 0, 1), Volume("0" * 16, "i", 1, 2)]),
    ]
    document = json.loads(data.draw(st.sampled_from(pages)))
    touch(json.dumps(data.draw(mutations(document))).encode())


@given(st.binary(max_size=100))
def test_no_bytes_raise_anything_but_a_format_error_as_a_page(raw: bytes) -> None:
    touch(raw)
