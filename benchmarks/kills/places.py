# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real servers, and places on them; each place can also be read as the directory of objects that it is."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from kills.apart import apart
from kills.points import StorageKind
from papi_backup.engine.storage.opener import patient
from papi_backup.engine.storage.protocol import Storage
from papi_backup.model.storage import S3Storage, SshStorage, StorageAccess
from realparts.pytest_fixtures import BUCKET, SshServer, make_ssh_id, s3_storage
from realparts.s3server import S3Server
from realparts.sshd import Sshd

FILE_SIZE = 1
"""Mebibytes of an object in the bucket, so that a backup of some megabytes has several."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place of one story.  ``mirror`` is where the objects of a bucket are downloaded to."""

    access: StorageAccess
    mirror: Path

    def open(self) -> Storage:
        """Return a connected storage."""
        storage = patient(self.access)
        storage.open()
        return storage

    def objects(self) -> Path:
        """Return a directory with all objects, downloaded where they lie in a bucket."""
        if isinstance(self.access.storage, SshStorage):
            return Path(self.access.storage.storage_base)
        apart(self._download)
        return self.mirror

    def _download(self) -> None:
        storage = self.open()
        there = {found.name for found in storage.list("")}
        for path in [path for path in self.mirror.rglob("*") if path.is_file()]:
            if str(path.relative_to(self.mirror)) not in there:
                path.unlink()
        for name in sorted(there):
            path = self.mirror / name
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(storage.get(name))
        storage.close()


@dataclass(frozen=True, slots=True)
class Servers:
    """Where new places come from: an access of each kind, whose own place nobody uses."""

    ssh: StorageAccess | None
    s3: StorageAccess | None

    def place(self, kind: StorageKind, directory: Path) -> Place:
        """Return a new place; ``directory`` is of the story alone."""
        if kind == "ssh" and self.ssh is not None and isinstance(self.ssh.storage, SshStorage):
            base = directory / "storage"
            base.mkdir()
            return Place(replace(self.ssh, storage=replace(self.ssh.storage, storage_base=str(base))), base)
        if self.s3 is None or not isinstance(self.s3.storage, S3Storage):
            raise ValueError(kind)
        mirror = directory / "mirror"
        mirror.mkdir()
        storage = replace(self.s3.storage, prefix=directory.name, file_size=FILE_SIZE)
        return Place(StorageAccess(storage), mirror)


@contextmanager
def running(directory: Path, kinds: tuple[StorageKind, ...]) -> Iterator[Servers]:
    """Run a server of each kind."""
    with ExitStack() as stack:
        ssh = s3 = None
        if "ssh" in kinds:
            sshd = stack.enter_context(Sshd(directory / "sshd"))
            ssh_id = make_ssh_id(sshd.directory)
            sshd.add_authorized_key(ssh_id.public_key)
            ssh = SshServer(sshd, ssh_id).access(directory / "nowhere")
        if "s3" in kinds:
            server = stack.enter_context(S3Server(directory / "s3"))
            server.make_bucket(BUCKET)
            s3 = StorageAccess(s3_storage(server))
        yield Servers(ssh, s3)


def remove(directory: Path) -> None:
    """Remove what a story left on this host."""
    shutil.rmtree(directory, ignore_errors=True)
