# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plants manifests as somebody would who may add objects to a storage, and has no key."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from papi_backup.engine.format.header import (
    SUITE_ENCRYPTED,
    SUITE_RAW,
    Chunker,
    ClearSlot,
    ScryptSlot,
    Slot,
    build_header,
)
from papi_backup.engine.format.manifest import preamble, split_manifest
from papi_backup.engine.format.names import CATALOG, catalog_name, parse_catalog_name
from papi_backup.model.catalog import CatalogEntry
from papi_backup.model.sizes import MEBIBYTE

CHEAP = 1 << 10
_SEALED = bytes(96)


def manifests_of(storage: Path) -> list[Path]:
    """Return the manifests below a storage's directory, oldest first."""
    return sorted((storage / "catalog").rglob("*.v*"))


def entry_of(storage: Path, manifest: Path) -> CatalogEntry:
    """Return what a manifest's name says."""
    entry = parse_catalog_name(os.fspath(manifest.relative_to(storage / CATALOG)), None)
    assert entry is not None
    return entry


def put(storage: Path, entry: CatalogEntry, data: bytes) -> Path:
    """Write bytes under a manifest's name, which tells their size."""
    place = storage / CATALOG / catalog_name(replace(entry, manifest_size=len(data)))
    place.write_bytes(data)
    return place


def plant(
    storage: Path,
    beside: CatalogEntry,
    number: int,
    *,
    raw: bool = False,
    cost: int = CHEAP,
    slots: int = 1,
    later: int = 0,
    instance: str = "f" * 16,
) -> Path:
    """Plant a manifest with a header of its own and a high id, ``later`` seconds after a backup."""
    chain = f"ff{number:014x}"
    salts = [number.to_bytes(8, "big") + slot.to_bytes(8, "big") for slot in range(slots)]
    made: tuple[Slot, ...] = tuple(ScryptSlot(salt, cost, bytes(40)) for salt in salts)
    if raw:
        made = (ClearSlot(bytes(32)),)
    chunker = Chunker(64 * 1024, 256 * 1024, 960 * 1024)
    header = build_header(SUITE_RAW if raw else SUITE_ENCRYPTED, chain, MEBIBYTE, chunker, made)
    entry = replace(
        beside,
        date=beside.date + timedelta(seconds=later),
        encrypted=not raw,
        chain=chain,
        backup=f"ff{number:014x}",
        instance=instance,
    )
    return put(storage, entry, preamble(header.encoded) + _SEALED)


def copy_header(storage: Path, genuine: Path, number: int, *, later: int = 0) -> Path:
    """Plant a manifest with the header of a genuine one and nothing sealed behind it."""
    beside = entry_of(storage, genuine)
    before = split_manifest(genuine.read_bytes())[1]
    entry = replace(beside, date=beside.date + timedelta(seconds=later), backup=f"ff{number:014x}")
    return put(storage, entry, before + _SEALED)


def copy_whole(storage: Path, genuine: Path, number: int, *, later: int = 0) -> Path:
    """Put a genuine manifest under another name."""
    beside = entry_of(storage, genuine)
    entry = replace(beside, date=beside.date + timedelta(seconds=later), backup=f"ff{number:014x}")
    return put(storage, entry, genuine.read_bytes())


def strange_header(storage: Path, genuine: Path, number: int) -> Path:
    """Plant a manifest whose header has the genuine slots and one member more, so that its bytes differ."""
    beside = entry_of(storage, genuine)
    header = json.loads(split_manifest(genuine.read_bytes())[0]) | {"more": number}
    entry = replace(beside, backup=f"ff{number:014x}")
    return put(storage, entry, preamble(json.dumps(header).encode()) + _SEALED)
