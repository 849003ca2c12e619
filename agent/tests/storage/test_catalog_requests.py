# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many requests the listings of a large catalog take on S3."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from realparts.memory_s3 import MemoryS3, Stored

from papi_backup.engine.catalog import list_backups, list_host_names
from papi_backup.engine.format.names import CATALOG, catalog_name
from papi_backup.engine.storage.opener import opener_for
from papi_backup.engine.storage.protocol import Storage
from papi_backup.model.catalog import CatalogEntry
from papi_backup.model.secret import Secret
from papi_backup.model.storage import S3Storage, StorageAccess

HOSTS = 2000
FIRST = datetime(2026, 1, 1, tzinfo=UTC)
OPENING = 1
"""The request that sees whether bucket and credentials are good."""
PAGES_OF_NAMES = 2
"""An answer of S3 holds a thousand names."""


def manifest_of(host: int, number: int) -> str:
    identifiers = f"{host:08x}{number:08x}"
    date = FIRST + timedelta(days=number)
    host_name = f"host-{host:05}.example"
    entry = CatalogEntry(
        host_name, "etc", date, "full", True, identifiers, identifiers, identifiers, 1, path=""
    )
    return CATALOG + catalog_name(entry)


def requests_of(server: MemoryS3, ask: Callable[[Storage], object]) -> int:
    bucket = S3Storage("s3", "AK", Secret("SK"), "bucket", 8, server.endpoint_url, "us-east-1")
    server.requests.clear()
    storage = opener_for(StorageAccess(bucket))()
    ask(storage)
    storage.close()
    assert set(server.requests) == {"list"}
    return len(server.requests)


@pytest.mark.parametrize("backups", [1, 20])
def test_host_names_take_a_request_for_a_thousand_however_many_backups_each_has(backups: int) -> None:
    names = [manifest_of(host, number) for host in range(HOSTS) for number in range(backups)]
    with MemoryS3(page=1000, objects={name: Stored(b"x", {}) for name in names}) as server:
        found: list[str] = []
        requests = requests_of(server, lambda storage: found.extend(list_host_names(storage)))
    assert (len(found), found[0], found[-1]) == (HOSTS, "host-00000.example", "host-01999.example")
    assert requests == OPENING + PAGES_OF_NAMES


def test_the_backups_of_one_host_take_one_request_among_two_thousand_hosts() -> None:
    names = [manifest_of(host, 0) for host in range(HOSTS)] + [manifest_of(7, n) for n in range(1, 50)]
    with MemoryS3(page=1000, objects={name: Stored(b"x", {}) for name in names}) as server:
        found: list[CatalogEntry] = []
        requests = requests_of(
            server, lambda storage: found.extend(list_backups(storage, "host-00007.example"))
        )
    assert [entry.date for entry in found] == [FIRST + timedelta(days=day) for day in range(50)]
    assert requests == OPENING + 1
