# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests of listings on a real S3 server whose catalog has many hosts with many backups each."""

from __future__ import annotations

import multiprocessing
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from papi_backup.engine.catalog import list_backups, list_host_names
from papi_backup.engine.format.names import CATALOG, catalog_name
from papi_backup.engine.storage.opener import patient
from papi_backup.engine.storage.protocol import Storage
from papi_backup.engine.storage.s3_place import _session
from papi_backup.model.catalog import CatalogEntry
from papi_backup.model.storage import StorageAccess
from realparts.s3request import signed_request
from realparts.s3server import S3Server
from scale.jobs import BUCKET, bucket_on

WRITERS = 6
FIRST = datetime(2026, 1, 1, tzinfo=UTC)


def names_of(host: int, backups: int) -> list[str]:
    """Return the catalog names of one host: a full a week, manifests of one byte."""
    names = []
    for number in range(backups):
        entry = CatalogEntry(
            host_name=f"host-{host:05}.example",
            backup_name="etc",
            date=FIRST + timedelta(days=number),
            backup_type="inc" if number % 7 else "full",
            encrypted=True,
            chain=f"{host:08x}{number // 7:08x}",
            backup=f"{host:08x}{number:08x}",
            instance=f"{host:016x}",
            manifest_size=1,
            path="",
        )
        names.append(CATALOG + catalog_name(entry))
    return names


def fill(port: int, credentials: tuple[str, str], hosts: range, backups: int) -> None:
    """Put the manifests of some hosts."""
    for host in hosts:
        for name in names_of(host, backups):
            status, body = signed_request("PUT", port, f"/{BUCKET}/{name}", credentials, b"x")
            if status != 200:
                raise RuntimeError(f"{name} not stored: {status} {body[:200]!r}")


def measure(directory: Path, hosts: int, backups: int) -> dict[str, int]:
    """Fill a catalog, print and return how many requests each listing takes, opening the storage included."""
    requests: Counter[str] = Counter()

    def count(model: Any, **_unused: Any) -> None:
        requests[model.name] += 1

    _session()[0].events.register("before-call.s3.*", count)
    counts = {}
    with S3Server(directory / "catalog-server") as server:
        server.make_bucket(BUCKET)
        began = time.monotonic()
        credentials = server.access_key, server.secret_key
        parts = [range(first, hosts, WRITERS) for first in range(WRITERS)]
        context = multiprocessing.get_context("fork")
        writers = [
            context.Process(target=fill, args=(server.port, credentials, part, backups)) for part in parts
        ]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
            if writer.exitcode:
                raise RuntimeError("the catalog could not be filled")
        print(
            f"{hosts:,} hosts with {backups} backups each, made in {time.monotonic() - began:.0f} s",
            flush=True,
        )
        access = StorageAccess(bucket_on(server))
        asked: dict[str, tuple[Callable[[Storage], list[Any]], int]] = {
            "backups of one host": (
                lambda storage: list_backups(storage, f"host-{hosts // 2:05}.example"),
                backups,
            ),
            "backups of a host that has none": (lambda storage: list_backups(storage, "nobody.example"), 0),
            "all host names": (list_host_names, hosts),
        }
        for what, (ask, expected) in asked.items():
            requests.clear()
            began = time.monotonic()
            storage = patient(access)
            storage.open()
            found = ask(storage)
            storage.close()
            seconds = time.monotonic() - began
            if len(found) != expected:
                raise RuntimeError(f"{what}: {len(found)} instead of {expected}")
            counts[what] = requests.total()
            print(f"{what:<34} {len(found):>6,} in {seconds:6.2f} s, requests: {dict(requests)}", flush=True)
    return counts
