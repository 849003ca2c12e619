# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manifest: the commit point of a backup (docs/format.md, "Manifests")."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from typing import Any

from papi_backup.engine.format import FORMAT_VERSION, FormatError
from papi_backup.engine.format.entries import to_bytes, to_text
from papi_backup.engine.format.header import LARGEST_HEADER
from papi_backup.engine.format.pages import Volume, decode_volumes, encode_volumes
from papi_backup.engine.format.references import (
    PageRef,
    SegmentTable,
    decode_page_ref,
    decode_segments,
    encode_page_refs,
)
from papi_backup.model.schedule import BackupType

MAGIC = b"PAPIBKP1"
_LENGTH = struct.Struct(">I")
LARGEST_BODY = 64 << 20
"""Cap on a manifest body's raw size, checked before decompressing."""
INLINE_VOLUMES = 20_000
"""A longer volume table goes to volume pages, all but the volumes that hold those pages."""


@dataclass(frozen=True, slots=True)
class Parent:
    """The backup this incremental was compared with; ``tag`` is its manifest's MAC."""

    backup: str
    tag: bytes


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts over the whole file list and over this run; bytes."""

    entries: int = 0
    files: int = 0
    bytes: int = 0
    bytes_read: int = 0
    bytes_stored: int = 0
    warnings: int = 0
    dead_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Manifest:
    """A backup.  ``root`` None is an empty file list; ``scan_started_ns`` is the source host's clock."""

    host_name: str
    backup_name: str
    backup_type: BackupType
    date: str
    chain: str
    backup: str
    instance: str
    sequence: int
    scan_started_ns: int
    paths: tuple[bytes, ...]
    excludes: tuple[bytes, ...]
    root: PageRef | None
    volumes: tuple[Volume, ...]
    volume_pages: tuple[PageRef, ...] = ()
    parent: Parent | None = None
    totals: Totals = field(default=Totals())
    agent_version: str = ""


def preamble(header: bytes) -> bytes:
    """Return what stands before a manifest's sealed body."""
    return MAGIC + _LENGTH.pack(len(header)) + header


def split_manifest(data: bytes) -> tuple[bytes, bytes, memoryview]:
    """Return (header bytes, preamble, sealed body).  Raises FormatError."""
    start = len(MAGIC) + _LENGTH.size
    if len(data) < start or not data.startswith(MAGIC):
        raise FormatError("it does not begin like a manifest")
    (length,) = _LENGTH.unpack_from(data, len(MAGIC))
    if length > LARGEST_HEADER or start + length > len(data):
        raise FormatError("its header length is impossible")
    return data[start : start + length], data[: start + length], memoryview(data)[start + length :]


def encode_body(manifest: Manifest) -> bytes:
    """Return the JSON body of a manifest."""
    table = SegmentTable()
    document: dict[str, Any] = {
        "format": FORMAT_VERSION,
        "host": manifest.host_name,
        "name": manifest.backup_name,
        "type": manifest.backup_type,
        "date": manifest.date,
        "chain": manifest.chain,
        "backup": manifest.backup,
        "instance": manifest.instance,
        "sequence": manifest.sequence,
        "scan_started": manifest.scan_started_ns,
        "paths": [to_text(path) for path in manifest.paths],
        "excludes": [to_text(pattern) for pattern in manifest.excludes],
        "parent": [manifest.parent.backup, manifest.parent.tag.hex()] if manifest.parent else None,
        "root": encode_page_refs(table, (manifest.root,))[0] if manifest.root else None,
        "volumes": encode_volumes(manifest.volumes),
        "volume_pages": encode_page_refs(table, manifest.volume_pages),
        "totals": {name: getattr(manifest.totals, name) for name in Totals.__slots__},
        "agent": manifest.agent_version,
    }
    document.update(table.encode())
    return json.dumps(document, separators=(",", ":")).encode()


def decode_body(raw: bytes | bytearray | memoryview) -> Manifest:
    """Parse an authenticated body.  Members it does not know are ignored.  Raises FormatError."""
    document = json.loads(bytes(raw))
    if document["format"] != FORMAT_VERSION:
        raise FormatError("its body is of another format version")
    segments = decode_segments(document)
    parent = document["parent"]
    totals = document["totals"]
    return Manifest(
        host_name=document["host"],
        backup_name=document["name"],
        backup_type=document["type"],
        date=document["date"],
        chain=document["chain"],
        backup=document["backup"],
        instance=document["instance"],
        sequence=document["sequence"],
        scan_started_ns=document["scan_started"],
        paths=tuple(map(to_bytes, document["paths"])),
        excludes=tuple(map(to_bytes, document["excludes"])),
        root=decode_page_ref(document["root"], segments) if document["root"] else None,
        volumes=decode_volumes(document["volumes"]),
        volume_pages=tuple(decode_page_ref(row, segments) for row in document["volume_pages"]),
        parent=Parent(parent[0], bytes.fromhex(parent[1])) if parent else None,
        totals=Totals(**{name: totals.get(name, 0) for name in Totals.__slots__}),
        agent_version=document["agent"],
    )
