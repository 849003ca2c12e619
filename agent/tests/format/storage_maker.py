# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes storages by hand, honest or hostile ones, from the format's functions alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from papi_backup.engine.compression import SegmentCompressor
from papi_backup.engine.crypto import ChainKeys, seal, wrap_chain_key
from papi_backup.engine.format.entries import Entry, Owner
from papi_backup.engine.format.header import (
    SUITE_ENCRYPTED,
    SUITE_RAW,
    ChainHeader,
    Chunker,
    ClearSlot,
    build_header,
)
from papi_backup.engine.format.leaf_encoding import encode_leaf
from papi_backup.engine.format.manifest import DATE, Manifest, encode_body, preamble
from papi_backup.engine.format.names import CATALOG, CONTENT, INDEX, catalog_name, chain_prefix, volume_name
from papi_backup.engine.format.pages import Volume
from papi_backup.engine.format.references import Item, PageRef, SegmentRef
from papi_backup.engine.format.segment import IV_SIZE, TAG_SIZE, FrameParts, build_frame, sealed_size
from papi_backup.engine.opened import segment_context
from papi_backup.model.catalog import CatalogEntry
from papi_backup.model.secret import Secret
from papi_backup.model.sizes import MEBIBYTE

CHAIN = "c0ffee0123456789"
FIRST = "0000000000000001"
INSTANCE = "feedfacecafebeef"
CHAIN_KEY = bytes(range(32))
CHUNKER = Chunker(64 * 1024, 256 * 1024, 960 * 1024)
ROOT = Owner(0, 0, "root", "root")
Change = Callable[[dict[str, Any]], None]


def some_header(key: str = "") -> ChainHeader:
    """Return a chain's header, encrypted when there is a key."""
    if not key:
        return build_header(SUITE_RAW, CHAIN, MEBIBYTE, CHUNKER, (ClearSlot(CHAIN_KEY),))
    slot = wrap_chain_key(CHAIN_KEY, Secret(key), b"0123456789abcdef", 1 << 10)
    return build_header(SUITE_ENCRYPTED, CHAIN, MEBIBYTE, CHUNKER, (slot,))


def an_entry(path: bytes, kind: str = "f", **members: Any) -> Entry:
    """Return an entry with ordinary metadata."""
    plain = {"mode": 0o755 if kind == "d" else 0o644, "owner": ROOT, "mtime_ns": 1_700_000_000_123_456_789}
    return Entry(path, kind, **{"ctime_ns": 1_700_000_001_000_000_000, "inode": 7, **plain, **members})


@dataclass
class StorageMaker:
    """One backup being written below ``root``; segments go to volumes number 0."""

    root: Path
    key: str = ""
    host: str = "host.example"
    name: str = "etc"
    backup: str = FIRST
    header: ChainHeader | None = None
    volumes: dict[str, bytearray] = field(default_factory=lambda: {INDEX: bytearray(), CONTENT: bytearray()})

    @property
    def the_header(self) -> ChainHeader:
        """The chain's header."""
        if self.header is None:
            self.header = some_header(self.key)
        return self.header

    @property
    def keys(self) -> ChainKeys:
        """The chain's keys."""
        return ChainKeys.derive(CHAIN_KEY, CHAIN, encrypted=bool(self.key))

    def segment(self, kind: str, raw: bytes, *, frame: FrameParts | None = None) -> SegmentRef:
        """Seal a segment; ``frame`` replaces the honest one."""
        codec, payload = SegmentCompressor().compress(raw)
        frame = frame or build_frame(codec, len(raw), payload, hide_size=True)
        volume = self.volumes[kind]
        context = segment_context(self.the_header, self.host, self.name, self.backup).of(kind, 0, len(volume))
        sealed = seal(self.keys, context, frame, bytes(IV_SIZE))
        reference = SegmentRef(self.backup, 0, len(volume), len(sealed), len(raw), bytes(sealed[-TAG_SIZE:]))
        volume += sealed
        return reference

    def item(self, raw: bytes) -> Item:
        """Store a chunk in a segment of its own."""
        return Item(self.segment(CONTENT, raw), 0, len(raw), self.keys.chunk_id_of(raw))

    def page(self, page: bytes | dict[str, Any]) -> PageRef:
        """Store a page in a segment of its own."""
        raw = page if isinstance(page, bytes) else json.dumps(page).encode()
        return PageRef(self.segment(INDEX, raw), 0, len(raw))

    def leaf(self, entries: Sequence[Entry], change: Change | None = None) -> PageRef:
        """Store a leaf page, after a hostile change if there is one."""
        document = json.loads(encode_leaf(entries))
        if change is not None:
            change(document)
        return self.page(document)

    def table(self) -> tuple[Volume, ...]:
        """Return the volume table."""
        return tuple(
            Volume(self.backup, kind, 0, len(data)) for kind, data in sorted(self.volumes.items()) if data
        )

    def commit(self, root: PageRef | None, change: Change | None = None, **members: Any) -> CatalogEntry:
        """Write volumes and manifest; ``members`` replace those of the Manifest, then ``change`` its JSON."""
        entry = CatalogEntry(
            self.host,
            self.name,
            datetime(2026, 3, 1, 12, 30, tzinfo=UTC),
            members.get("backup_type", "full"),
            bool(self.key),
            CHAIN,
            self.backup,
            INSTANCE,
            0,
            "",
        )
        manifest = Manifest(
            host_name=self.host,
            backup_name=self.name,
            backup_type="full",
            date=entry.date.strftime(DATE),
            chain=CHAIN,
            backup=self.backup,
            instance=INSTANCE,
            sequence=0,
            scan_started_ns=0,
            paths=(b"",),
            excludes=(),
            root=root,
            volumes=self.table(),
        )
        document = json.loads(encode_body(replace(manifest, **members)))
        if change is not None:
            change(document)
        return self.write(entry, json.dumps(document, separators=(",", ":")).encode())

    def write(self, entry: CatalogEntry, body: bytes) -> CatalogEntry:
        """Write the volumes and a manifest with any body."""
        before = preamble(self.the_header.encoded)
        codec, payload = SegmentCompressor().compress(body)
        frame = build_frame(codec, len(body), payload, hide_size=True)
        size = len(before) + sealed_size(frame.size, encrypted=bool(self.key))
        entry = replace(entry, manifest_size=size)
        entry = replace(entry, path=catalog_name(entry))
        context = segment_context(self.the_header, self.host, self.name, self.backup)
        sealed = seal(self.keys, context.of_manifest(entry.path, before), frame, bytes(IV_SIZE))
        for kind, data in self.volumes.items():
            if data:
                prefix = chain_prefix(self.host, self.name, CHAIN)
                self.put(volume_name(prefix, self.backup, kind, 0), bytes(data))
        self.put(CATALOG + entry.path, before + sealed)
        return entry

    def put(self, name: str, data: bytes) -> None:
        """Write one object."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
