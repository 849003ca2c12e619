# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unencrypted backups made up by whoever holds the storage: every MAC is right, the contents are hostile."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from papi_backup.engine.compression import SegmentCompressor
from papi_backup.engine.crypto import ChainKeys, open_sealed, seal
from papi_backup.engine.format.entries import DIRECTORY, FILE, SYMLINK, Entry, Owner
from papi_backup.engine.format.header import SUITE_RAW, Chunker, ClearSlot, build_header
from papi_backup.engine.format.leaf_encoding import encode_leaf
from papi_backup.engine.format.manifest import Manifest, Totals, encode_body, preamble
from papi_backup.engine.format.names import CATALOG, CONTENT, INDEX, catalog_name, chain_prefix, volume_name
from papi_backup.engine.format.pages import Volume
from papi_backup.engine.format.references import Item, PageRef, SegmentRef
from papi_backup.engine.format.segment import TAG_SIZE, build_frame
from papi_backup.engine.opened import segment_context
from papi_backup.model.catalog import CatalogEntry

CHAIN, BACKUP, INSTANCE = "c" * 16, "b" * 16, "a" * 16
HOST, NAME = "host.example", "etc"
DATE = datetime(2026, 3, 1, tzinfo=UTC)
CONTENT_OF_FILES = b"content of every handmade file"

assert open_sealed  # the counterpart of what is sealed here


class Forge:
    """Writes one backup below a storage's root."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._keys = ChainKeys.derive(bytes(32), CHAIN, encrypted=False)
        chunker = Chunker(1 << 16, 1 << 18, 1 << 19)
        self._header = build_header(SUITE_RAW, CHAIN, 1 << 20, chunker, (ClearSlot(bytes(32)),))
        self._context = segment_context(self._header, HOST, NAME, BACKUP)
        self._volumes: list[Volume] = []

    def segment(self, kind: str, raw: bytes) -> SegmentRef:
        """Store one segment in a volume of its own."""
        number = sum(1 for volume in self._volumes if volume.kind == kind)
        frame = build_frame(*self._coded(raw), hide_size=False)
        sealed = seal(self._keys, self._context.of(kind, number, 0), frame, bytes(16))
        path = self._root / volume_name(chain_prefix(HOST, NAME, CHAIN), BACKUP, kind, number)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(sealed)
        self._volumes.append(Volume(BACKUP, kind, number, len(sealed)))
        return SegmentRef(BACKUP, number, 0, len(sealed), len(raw), bytes(sealed[-TAG_SIZE:]))

    def _coded(self, raw: bytes) -> tuple[int, int, bytes]:
        codec, payload = SegmentCompressor().compress(raw)
        return codec, len(raw), payload

    def content(self) -> list[Item]:
        """Store the content every handmade file has."""
        segment = self.segment(CONTENT, CONTENT_OF_FILES)
        chunk_id = self._keys.chunk_id_of(CONTENT_OF_FILES)
        return [Item(segment, 0, len(CONTENT_OF_FILES), chunk_id)]

    def backup(
        self,
        entries: Sequence[Entry],
        change: Callable[[dict[str, Any]], None] | None = None,
        *,
        scan_started_ns: int = 0,
    ) -> None:
        """Store entries as one leaf, its JSON changed by ``change``, and the manifest."""
        document = json.loads(encode_leaf(entries))
        if change is not None:
            change(document)
        leaf = json.dumps(document).encode()
        root = PageRef(self.segment(INDEX, leaf), 0, len(leaf))
        manifest = Manifest(
            host_name=HOST,
            backup_name=NAME,
            backup_type="full",
            date=f"{DATE:%Y-%m-%dT%H:%M:%SZ}",
            chain=CHAIN,
            backup=BACKUP,
            instance=INSTANCE,
            sequence=0,
            scan_started_ns=scan_started_ns,
            paths=(b"x",),
            excludes=(),
            root=root,
            volumes=tuple(self._volumes),
            totals=Totals(entries=len(entries), files=len(entries)),
        )
        body = encode_body(manifest)
        before = preamble(self._header.encoded)
        size = len(before) + len(
            seal(self._keys, b"", build_frame(*self._coded(body), hide_size=False), bytes(16))
        )
        entry = CatalogEntry(HOST, NAME, DATE, "full", False, CHAIN, BACKUP, INSTANCE, size, "")
        name = catalog_name(entry)
        context = self._context.of_manifest(name, before)
        frame = build_frame(*self._coded(body), hide_size=False)
        path = self._root / (CATALOG + name)
        path.parent.mkdir(parents=True)
        path.write_bytes(before + seal(self._keys, context, frame, bytes(16)))


def entry(path: bytes, kind: str = FILE, items: Sequence[Item] = (), **members: Any) -> Entry:
    """Return an entry with harmless metadata."""
    size = sum(item.length for item in items)
    mode = 0o755 if kind == DIRECTORY else 0o644
    return Entry(path, kind, mode, Owner(0, 0, "", ""), 0, 0, 1, size=size, items=list(items), **members)


def link(path: bytes, target: bytes) -> Entry:
    """Return a symbolic link."""
    return entry(path, SYMLINK, link_target=target)
