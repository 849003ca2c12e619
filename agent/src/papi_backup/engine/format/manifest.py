# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manifest: the commit point of a backup (docs/format.md, "Manifests")."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from typing import Any

from papi_backup.engine.format import FormatError, UnsupportedError
from papi_backup.engine.format.checked import (
    array,
    identifier,
    load_object,
    mapping,
    number,
    text,
    texts,
)
from papi_backup.engine.format.entries import LARGEST_TIME, SMALLEST_TIME, to_bytes, to_text
from papi_backup.engine.format.header import LARGEST_HEADER, check_features
from papi_backup.engine.format.json_text import encode
from papi_backup.engine.format.pages import Volume, decode_volumes, encode_volumes
from papi_backup.engine.format.references import (
    PageRef,
    SegmentRef,
    SegmentTable,
    decode_page_ref,
    decode_segments,
    encode_page_refs,
)
from papi_backup.engine.format.segment import BLOCK, IV_SIZE, TAG_SIZE, Buffer
from papi_backup.model.catalog import FORMAT_VERSION, CatalogEntry
from papi_backup.model.errors import InvalidParameterError
from papi_backup.model.schedule import BackupType

MAGIC = b"PAPIBKP1"
_LENGTH = struct.Struct(">I")
LARGEST_BODY = 8 << 20
"""Cap on a manifest body's raw size, checked before decompressing."""
LARGEST_MANIFEST = (
    len(MAGIC) + _LENGTH.size + LARGEST_HEADER + IV_SIZE + BLOCK + LARGEST_BODY + LARGEST_BODY // 8 + TAG_SIZE
)
"""Cap on a manifest's stored size, checked before fetching."""
_TAG = re.compile("[0-9a-f]{64}", re.ASCII)
DATE = "%Y-%m-%dT%H:%M:%SZ"
"""How a manifest tells its date, in UTC."""
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
    required: tuple[str, ...] = ()

    def belongs_to(self, entry: CatalogEntry) -> bool:
        """Return whether the body says the same as the manifest's own name."""
        return (
            self.host_name.lower() == entry.host_name
            and self.backup_name == entry.backup_name
            and self.backup_type == entry.backup_type
            and self.date == entry.date.strftime(DATE)
            and (self.chain, self.backup, self.instance) == (entry.chain, entry.backup, entry.instance)
        )


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
    """Return the JSON body of a manifest.  Raises InvalidParameterError if its texts are too long."""
    table = SegmentTable()
    document: dict[str, Any] = {
        "format": FORMAT_VERSION,
        "required": list(manifest.required),
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
    body = encode(document)
    if len(body) > LARGEST_BODY:
        raise InvalidParameterError("The paths and excludes are too long for a manifest.", "excludes")
    return body


def decode_body(raw: Buffer) -> Manifest:
    """Parse an authenticated body.  Members it does not know are ignored.  Raises FormatError."""
    document = load_object(raw, "its body")
    if number(document.get("format"), "its format version") != FORMAT_VERSION:
        raise UnsupportedError("its body is of another format version")
    check_features(document.get("required"))
    segments = decode_segments(document)
    pages = array(document.get("volume_pages"), "its volume pages")
    return Manifest(
        host_name=text(document.get("host"), "its host"),
        backup_name=text(document.get("name"), "its name"),
        backup_type=_backup_type(document.get("type")),
        date=text(document.get("date"), "its date"),
        chain=identifier(document.get("chain"), "its chain"),
        backup=identifier(document.get("backup"), "its backup"),
        instance=identifier(document.get("instance"), "its instance"),
        sequence=number(document.get("sequence"), "its sequence"),
        scan_started_ns=number(document.get("scan_started"), "its start", SMALLEST_TIME, LARGEST_TIME),
        paths=tuple(map(to_bytes, texts(document.get("paths"), "its paths"))),
        excludes=tuple(map(to_bytes, texts(document.get("excludes"), "its excludes"))),
        root=_optional_page(document.get("root"), segments),
        volumes=decode_volumes(document.get("volumes")),
        volume_pages=tuple(decode_page_ref(row, segments) for row in pages),
        parent=_parent(document.get("parent")),
        totals=_totals(document.get("totals")),
        agent_version=text(document.get("agent"), "its agent version"),
        required=tuple(document["required"]),
    )


def _backup_type(value: Any) -> BackupType:
    if value not in ("full", "inc"):
        raise FormatError("its type is neither full nor inc")
    return "full" if value == "full" else "inc"


def _optional_page(row: Any, segments: list[SegmentRef]) -> PageRef | None:
    return None if row is None else decode_page_ref(row, segments)


def _parent(value: Any) -> Parent | None:
    if value is None:
        return None
    backup, tag = array(value, "its parent", 2, 2)
    tag = text(tag, "its parent")
    if not _TAG.fullmatch(tag):
        raise FormatError("its parent's MAC is malformed")
    return Parent(identifier(backup, "its parent"), bytes.fromhex(tag))


def _totals(value: Any) -> Totals:
    totals = mapping(value, "its totals")
    return Totals(**{name: number(totals.get(name, 0), "its totals") for name in Totals.__slots__})
