# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commit point: all volumes checked, then the manifest, create-only (docs/design.md, "The commit")."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

from papi_backup.engine.backup.setup import WriterSetup
from papi_backup.engine.compression import SegmentCompressor
from papi_backup.engine.crypto import seal
from papi_backup.engine.format.header import ChainHeader
from papi_backup.engine.format.manifest import Manifest, encode_body, preamble
from papi_backup.engine.format.names import CATALOG, catalog_name, volume_name
from papi_backup.engine.format.pages import Volume
from papi_backup.engine.format.segment import IV_SIZE, build_frame, sealed_size
from papi_backup.engine.storage.protocol import ObjectExistsError, Storage
from papi_backup.model.catalog import CatalogEntry
from papi_backup.model.errors import TransferError


def check_own_volumes(storage: Storage, setup: WriterSetup, volumes: Sequence[Volume]) -> None:
    """List what this backup wrote and compare.  Raises TransferError naming what is not there whole."""
    if not volumes:
        return  # a backup of nothing new has only its manifest
    sizes = {found.name: found.size for found in storage.list(f"{setup.prefix}{setup.backup}/")}
    for volume in volumes:
        name = volume_name(setup.prefix, volume.backup, volume.kind, volume.number)
        if sizes.get(name) != volume.size:
            raise TransferError(
                f"{name} was written with {volume.size} bytes, but the storage lists "
                f"{sizes.get(name, 'nothing')}; the backup was given up."
            )


def write_manifest(
    storage: Storage, setup: WriterSetup, header: ChainHeader, manifest: Manifest, entry: CatalogEntry
) -> CatalogEntry:
    """Seal and write the manifest; return its catalog entry.  After this the backup exists."""
    body = encode_body(manifest)
    codec, payload = SegmentCompressor().compress(body)
    frame = build_frame(codec, len(body), payload, hide_size=True)
    before = preamble(header.encoded)
    size = len(before) + sealed_size(frame.size, encrypted=setup.keys.encrypted)
    entry = replace(entry, manifest_size=size)
    path = catalog_name(entry)
    context = setup.context.of_manifest(path, before)
    sealed = seal(setup.keys, context, frame, os.urandom(IV_SIZE))
    writer = storage.create(CATALOG + path, size)
    try:
        writer.write(before + sealed)
        writer.commit()
    except ObjectExistsError:
        raise TransferError(f"{CATALOG}{path} exists already; the backup was given up.") from None
    finally:
        writer.abort()
    return replace(entry, path=path)
