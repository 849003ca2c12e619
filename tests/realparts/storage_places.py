# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every kind of storage as a pytest fixture: ``place``, for the conformance suite and for who needs all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import boto3
import pytest

from papi_backup.engine.storage.backoff import RetryPolicy
from papi_backup.engine.storage.connecting import Connectable
from papi_backup.engine.storage.directory import DirectoryStorage
from papi_backup.engine.storage.faults import FaultyStorage
from papi_backup.engine.storage.opener import hasty, patient
from papi_backup.engine.storage.protocol import Storage
from papi_backup.engine.storage.retrying import RetryingStorage
from papi_backup.engine.storage.throttled import Buckets, ThrottledStorage
from papi_backup.model.limits import Limits
from papi_backup.model.storage import S3Storage, SshStorage, StorageAccess
from realparts.pytest_fixtures import BUCKET

QUICK = RetryPolicy(attempts=4, first_delay=0.01, longest_delay=0.05)


def nothing_to_make(name: str) -> None:
    """Make no directory."""
    del name


@dataclass
class Place:
    """A new, empty place on a storage of one kind."""

    make: Callable[[], Connectable]
    leftovers: Callable[[], list[str]]
    """Names of what is there and is not a finished object: temporary files, unfinished uploads."""
    directories: Callable[[], list[str]]
    """Directories that exist, but the base and ``tmp``; none where a storage has no directories."""
    make_directory: Callable[[str], None] = nothing_to_make
    """Makes an empty directory below the base; nothing where a storage has no directories."""
    pages_matter: bool = False
    """Whether listings come in pages of 1,000."""
    opened: list[Connectable] = field(default_factory=list)

    def open(self) -> Storage:
        """Connect to the place; closed when the test ends."""
        storage = self.make()
        storage.open()
        self.opened.append(storage)
        return storage


def on_disk(base: Path, make: Callable[[], Connectable]) -> Place:
    def directories() -> list[str]:
        below = (path.relative_to(base) for path in base.rglob("*") if path.is_dir())
        return sorted(str(path) for path in below if str(path) != "tmp")

    def make_directory(name: str) -> None:
        (base / name).mkdir(parents=True)

    return Place(make, lambda: [path.name for path in (base / "tmp").glob("*")], directories, make_directory)


def on_ssh(access: StorageAccess, make: Callable[[StorageAccess], Connectable]) -> Place:
    storage = access.storage
    if not isinstance(storage, SshStorage):
        raise TypeError(f"{storage.storage_name} is not on an SSH server")
    return on_disk(Path(storage.storage_base), lambda: make(access))


def on_s3(access: StorageAccess) -> Place:
    storage = access.storage
    if not isinstance(storage, S3Storage):
        raise TypeError(f"{storage.storage_name} is no bucket")

    def uploads() -> list[str]:
        client = boto3.client(
            "s3",
            endpoint_url=storage.endpoint_url,
            region_name=storage.region,
            aws_access_key_id=storage.aws_key_id,
            aws_secret_access_key=storage.aws_secret_key.reveal(),
        )
        answer = client.list_multipart_uploads(Bucket=BUCKET, Prefix=f"{storage.prefix}/")
        return [upload["Key"] for upload in answer.get("Uploads", [])]

    return Place(lambda: patient(access, QUICK), uploads, list, pages_matter=True)


KINDS = ("directory", "retrying", "faulty", "throttled", "sftp", "sftp_bare", "s3")
HARDLY_LIMITED = Limits(upload=64 << 20, download=64 << 20)
"""Bytes a second: less than a memory copy, more than any test waits for."""


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Each kind of storage in turn; servers start when they are first needed."""
    base = tmp_path / "base"
    kind = request.param
    if kind == "sftp":
        made = on_ssh(request.getfixturevalue("ssh_access"), lambda access: patient(access, QUICK))
    elif kind == "sftp_bare":
        made = on_ssh(request.getfixturevalue("bare_ssh_access"), lambda access: hasty(access, 20))
    elif kind == "s3":
        made = on_s3(request.getfixturevalue("s3_access"))
    elif kind == "retrying":
        made = on_disk(base, lambda: RetryingStorage(DirectoryStorage(base), QUICK))
    elif kind == "faulty":
        made = on_disk(base, lambda: FaultyStorage(DirectoryStorage(base)))
    elif kind == "throttled":
        buckets = Buckets.of(HARDLY_LIMITED)
        made = on_disk(base, lambda: ThrottledStorage(DirectoryStorage(base), buckets))
    else:
        made = on_disk(base, lambda: DirectoryStorage(base))
    yield made
    for storage in made.opened:
        storage.close()
