# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parsers of what lies on a storage: names, headers, manifests, segments, pages; the second reader too."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from format_strategies import hostile_values
from hostile_bytes import MOST_MEMORY, Parser, altered_json
from hypothesis import strategies as st
from storage_maker import CHAIN, CHAIN_KEY, FIRST, StorageMaker, an_entry, some_header
from test_recover import as_module

from papi_backup.engine.backup.cache import IndexCache
from papi_backup.engine.compression import SegmentCompressor, SegmentDecompressor
from papi_backup.engine.crypto import AuthenticationFailedError, ChainKeys, open_sealed, seal
from papi_backup.engine.format import FormatError
from papi_backup.engine.format.entries import SYMLINK
from papi_backup.engine.format.header import parse_header
from papi_backup.engine.format.leaf import LeafPage
from papi_backup.engine.format.leaf_encoding import encode_leaf
from papi_backup.engine.format.manifest import LARGEST_BODY, decode_body, split_manifest
from papi_backup.engine.format.names import CATALOG, parse_catalog_name
from papi_backup.engine.format.pages import (
    Child,
    ItemChild,
    Volume,
    decode_page,
    encode_items_node,
    encode_items_page,
    encode_node,
    encode_volumes_page,
)
from papi_backup.engine.format.references import Item, PageRef, SegmentRef, VolumeRange
from papi_backup.engine.format.segment import (
    FRAME,
    IV_SIZE,
    SMALLEST_SEALED,
    STORED,
    ZSTD,
    build_frame,
    parse_frame,
)
from papi_backup.engine.opened import open_backup
from papi_backup.engine.storage.directory import DirectoryStorage
from papi_backup.model.errors import PapiError
from papi_backup.model.secret import Secret

_SCRATCH = tempfile.TemporaryDirectory(prefix="papi-parsers-")
atexit.register(_SCRATCH.cleanup)
_ROOT = Path(_SCRATCH.name)
_SEGMENT = SegmentRef(FIRST, 3, 4096, 1024, 4000, bytes(32))
_ITEM = Item(_SEGMENT, 10, 20, b"i" * 16)
_PAGE = PageRef(_SEGMENT, 1, 2)
_LONG = an_entry(b"a/long", size=1 << 40, item_pages=_PAGE, item_volumes=(VolumeRange("d", FIRST, 0, 9),))
LEAVES = (
    encode_leaf([an_entry(b"", "d"), an_entry(b"a/b", size=25, items=[_ITEM, Item(None, 0, 5, bytes(16))])]),
    encode_leaf(
        [
            an_entry(b"a/device", "c", device=(1, 5)),
            _LONG,
            an_entry(b"a/way", SYMLINK, link_target=b"/etc", link_group="g", xattrs={b"user.a": b"\xff"}),
            an_entry(b"b\xff", flags=("changed",), mtime_ns=-(1 << 63) * 10**9),
        ]
    ),
)
PAGES = (
    *LEAVES,
    encode_items_page([_ITEM, Item(None, 0, 5, bytes(16))]),
    encode_node([Child(_PAGE, b"", 3), Child(_PAGE, b"a", 3)]),
    encode_items_node([ItemChild(_PAGE, 9)]),
    encode_volumes_page([Volume(FIRST, "i", 0, 1), Volume(FIRST, "i", 1, 2)]),
)
HEADERS = (some_header().encoded, some_header("the key").encoded)
_MAKER = StorageMaker(_ROOT / "store")
_ENTRY = _MAKER.commit(_MAKER.leaf([an_entry(b"srv", "d")]))
_MANIFEST = _ROOT / "store" / CATALOG / _ENTRY.path
_WHOLE = _MANIFEST.read_bytes()
_STORAGE = DirectoryStorage(_ROOT / "store")
_KEYS = {kind: ChainKeys.derive(CHAIN_KEY, CHAIN, encrypted=kind) for kind in (False, True)}
_VOLUME = f"data/host.example/etc/{CHAIN}/{FIRST}/i/0/0"
_RECOVER = as_module()


def _page(data: bytes) -> None:
    """Use everything that a page offers."""
    page = decode_page(data)
    if isinstance(page, LeafPage):
        page.rows_with_item_pages()
        page.flagged_rows()
        page.rare_rows(0, len(page))
        list(page.entries())


def _segment(data: bytes) -> None:
    SegmentDecompressor().decompress(parse_frame(data, LARGEST_BODY))


def _sealed(data: bytes) -> None:
    """Open with the one key or the other; honest bytes open with one of them."""
    try:
        open_sealed(_KEYS[False], b"context", data)
    except AuthenticationFailedError:
        open_sealed(_KEYS[True], b"context", data)


def _frame(raw: bytes) -> bytes:
    codec, payload = SegmentCompressor().compress(raw)
    return b"".join(map(bytes, build_frame(codec, len(raw), payload, hide_size=True)))


def _rightly_sealed(data: bytes) -> None:
    """Parse a segment behind a right MAC, as who can write to a raw chain may make it."""
    for keys in _KEYS.values():
        padded = data + bytes(-len(data) % 16 or (0 if data else 16))
        parts = build_frame(STORED, 0, b"", hide_size=False)._replace(head=padded, payload=b"", padding=b"")
        _segment(bytes(open_sealed(keys, b"context", seal(keys, b"context", parts, bytes(IV_SIZE)))))


def _whole_manifest(data: bytes) -> None:
    _MANIFEST.write_bytes(data)
    open_backup(_STORAGE, _ENTRY, Secret(""))


def _manifest_body(data: bytes) -> None:
    """Open a backup whose manifest has any body behind a right MAC, with both readers."""
    entry = _MAKER.write(_ENTRY, data)
    path = _ROOT / "store" / CATALOG / entry.path
    try:
        _recovered(entry.path)
        open_backup(_STORAGE, entry, Secret(""))
    finally:
        path.unlink()


def _recovered(path: str) -> None:
    found = [
        one for one in _RECOVER.catalog(os.fspath(_ROOT / "store"), "host.example", "etc") if one.path == path
    ]
    try:
        backup = _RECOVER.Backup(os.fspath(_ROOT / "store"), found[0], b"")
        backup.check_volumes()
    except (_RECOVER.DamagedError, _RECOVER.RefusedError):
        return
    with contextlib.suppress(_RECOVER.DamagedError, *_RECOVER.MALFORMED):  # as who restores expects
        list(backup.entries())


def _recovered_manifest(data: bytes) -> None:
    _MANIFEST.write_bytes(data)
    _recovered(_ENTRY.path)


def _recovered_page(data: bytes) -> None:
    """Walk the file list below a root of any content with the second reader."""
    maker = StorageMaker(_ROOT / "pages")
    entry = maker.commit(maker.page(data or b" "))
    (found,) = _RECOVER.catalog(os.fspath(maker.root), "host.example", "etc")
    backup = _RECOVER.Backup(os.fspath(maker.root), found, b"")
    try:
        for one in backup.entries():
            list(backup.pieces(one))
    except (_RECOVER.DamagedError, *_RECOVER.MALFORMED):  # as who restores expects
        pass
    finally:
        (maker.root / CATALOG / entry.path).unlink()


def _name(data: bytes) -> None:
    path = data.decode("utf-8", "surrogateescape")
    parse_catalog_name(path, None)
    parse_catalog_name(path, len(data))


def _cached(data: bytes) -> None:
    """Take an index segment from this host's own copy, which may be cut or altered."""
    cache = IndexCache(os.fspath(_ROOT / "cache"), "sftp://somewhere", "host.example", "etc")
    cache.keep_only(())
    cache.store(_VOLUME, 0, data)
    sealed = cache.load(_VOLUME, 0, max(len(data), SMALLEST_SEALED))
    if sealed is not None:
        _sealed(sealed)


def _plain_json(draw_from: st.SearchStrategy[Any]) -> st.SearchStrategy[bytes]:
    return st.recursive(
        draw_from,
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(["k", "c", "segs", "backups", "v", "slots", "t"]), inner, max_size=5
            )
        ),
        max_leaves=12,
    ).map(lambda value: json.dumps(value).encode())


_frames = st.builds(
    lambda head, payload, rightly: (
        FRAME.pack(*head[:3], len(payload) if rightly else head[3], head[4]) + payload
    ),
    st.tuples(
        st.sampled_from((STORED, ZSTD, ZSTD, 2, 255)),
        st.sampled_from((bytes(3), bytes(3), b"\1\0\0")),
        st.sampled_from((0, 1, 5, 100, 4 << 20, 8 << 20, (1 << 32) - 1)),
        st.sampled_from((0, 1, 5, 30, 1 << 20, (1 << 32) - 1)),
        st.sampled_from((0, 0, 1)),
    ),
    st.one_of(
        st.binary(max_size=64),
        st.binary(max_size=40).map(lambda rest: b"\x28\xb5\x2f\xfd" + rest),
        st.binary(max_size=40).map(lambda rest: b"\x50\x2a\x4d\x18" + rest),
    ),
    st.booleans(),
)
_values = _plain_json(hostile_values)
_body = json.dumps(
    json.loads(
        bytes(
            SegmentDecompressor().decompress(
                parse_frame(_WHOLE[len(split_manifest(_WHOLE)[1]) : -32], LARGEST_BODY)
            )
        )
    )
).encode()
_sealed_both = tuple(
    bytes(seal(keys, b"context", build_frame(STORED, 5, b"hello", hide_size=True), bytes(IV_SIZE)))
    for keys in _KEYS.values()
)
_path = datetime(2026, 3, 1, tzinfo=UTC).strftime("host.example/etc/%Y%m%dT%H%M%SZ") + (
    f"-full-enc-{CHAIN}-{FIRST}-{CHAIN}-99.v1"
)
_formats = (FormatError,)
_RECOVERING = MOST_MEMORY + 2 * LARGEST_BODY
"""recover.py makes room for two longest bodies before it knows how long a manifest is."""
FORMAT_PARSERS = (
    Parser(
        "name in the catalog",
        _name,
        (_path.encode(), b"h=c3=a4/e/x"),
        st.from_regex(
            r"\A[a-z=0-9.]{1,8}/[a-z=0-9]{1,8}/[0-9]{8}T[0-9]{6}Z-(full|inc)-(enc|raw)-[0-9a-f]{16}-[0-9a-f]{16}"
            r"-[0-9a-f]{16}-[0-9]{1,20}\.v[0-9]{1,4}\Z"
        ).map(str.encode),
        (),
    ),
    Parser("header", parse_header, HEADERS, altered_json(HEADERS) | _values, _formats),
    Parser(
        "manifest's parts",
        split_manifest,
        (_WHOLE,),
        st.binary(max_size=40).map(lambda rest: _WHOLE[:8] + rest),
        _formats,
    ),
    Parser("manifest's body", decode_body, (_body,), altered_json((_body,)) | _values, _formats),
    Parser(
        "whole manifest",
        _whole_manifest,
        (_WHOLE,),
        altered_json(HEADERS[:1]).map(
            lambda header: (
                _WHOLE[:8] + len(header).to_bytes(4, "big") + header + _WHOLE[12 + len(HEADERS[0]) :]
            )
        ),
        (PapiError,),
    ),
    Parser(
        "body behind a right MAC, both readers",
        _manifest_body,
        (_body,),
        altered_json((_body,)),
        (PapiError,),
        _RECOVERING,
    ),
    Parser(
        "segment's frame and its compressed data",
        _segment,
        (_frame(b"a" * 5000), _frame(b"hello")),
        _frames,
        _formats,
    ),
    Parser("sealed segment", _sealed, _sealed_both, st.binary(max_size=200), (AuthenticationFailedError,)),
    Parser(
        "segment behind a right MAC",
        _rightly_sealed,
        (_frame(b"a" * 5000), _frame(b"hello")),
        _frames,
        _formats,
    ),
    Parser("page", _page, PAGES, altered_json(PAGES) | _values, _formats),
    Parser(
        "segment in this host's cache",
        _cached,
        _sealed_both,
        st.binary(max_size=200),
        (AuthenticationFailedError,),
    ),
    Parser(
        "recover.py: manifest",
        _recovered_manifest,
        (_WHOLE,),
        altered_json(HEADERS[:1]).map(
            lambda header: (
                _WHOLE[:8] + len(header).to_bytes(4, "big") + header + _WHOLE[12 + len(HEADERS[0]) :]
            )
        ),
        (),
        _RECOVERING,
    ),
    Parser("recover.py: page", _recovered_page, PAGES, altered_json(PAGES) | _values, (), _RECOVERING),
)
