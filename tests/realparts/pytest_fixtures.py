# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real servers as pytest fixtures, started on first use and shared by a whole session.

``sshd_server`` and ``s3_server`` are the servers; ``ssh_access`` and ``s3_access`` are each a
``StorageAccess`` to a place of its own: a new base directory, a new prefix of one bucket.
"""

from __future__ import annotations

import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from papi_backup.model.secret import Secret
from papi_backup.model.storage import S3Storage, SshId, SshStorage, StorageAccess
from realparts.s3server import S3Server
from realparts.sshd import Sshd, find_ssh_keygen

BUCKET = "papi-tests"
BARE_EXTENSIONS = ("posix-rename", "fsync", "limits", "statvfs", "fstatvfs", "hardlink", "lsetstat")


@dataclass(frozen=True, slots=True)
class SshServer:
    """A running sshd and an SSH id it lets in."""

    sshd: Sshd
    ssh_id: SshId

    def access(self, base: Path, host_key: str = "", port: int = 0) -> StorageAccess:
        """Return an access to ``base`` on this server; ``port`` may be a proxy's."""
        storage = SshStorage(
            storage_name="ssh",
            server_name="127.0.0.1",
            ssh_port=port or self.sshd.port,
            ssh_username=self.sshd.user,
            ssh_id_id=self.ssh_id.ssh_id_id,
            storage_base=str(base),
            host_key=host_key or self.sshd.host_key,
        )
        return StorageAccess(storage, self.ssh_id)


def make_ssh_id(directory: Path, name: str = "test", kind: str = "ed25519", bits: int = 0) -> SshId:
    """Make an SSH key pair with ssh-keygen and return it as the agent would hold it."""
    length = ["-b", str(bits)] if bits else []
    path = directory / f"id_{name}_{secrets.token_hex(4)}"
    subprocess.run(
        [find_ssh_keygen(), "-q", "-t", kind, *length, "-N", "", "-C", name, "-f", str(path)], check=True
    )
    public = path.with_name(f"{path.name}.pub").read_text().strip()
    return SshId(1, name, 256, public, Secret(path.read_text()))


@pytest.fixture(scope="session")
def server_directory() -> Iterator[Path]:
    """A directory for servers.  Its path is short: unix sockets and sshd's options like that."""
    directory = Path(tempfile.mkdtemp(prefix="realparts-"))
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def sshd_server(server_directory: Path) -> Iterator[SshServer]:
    """A private sshd as OpenSSH ships it."""
    with Sshd(server_directory / "sshd") as server:
        ssh_id = make_ssh_id(server.directory)
        server.add_authorized_key(ssh_id.public_key)
        yield SshServer(server, ssh_id)


@pytest.fixture(scope="session")
def bare_sshd_server(server_directory: Path) -> Iterator[SshServer]:
    """A private sshd that offers none of OpenSSH's extensions to SFTP."""
    with Sshd(server_directory / "bare", denied_requests=BARE_EXTENSIONS) as server:
        ssh_id = make_ssh_id(server.directory)
        server.add_authorized_key(ssh_id.public_key)
        yield SshServer(server, ssh_id)


@pytest.fixture(scope="session")
def s3_server(server_directory: Path) -> Iterator[S3Server]:
    """A private SeaweedFS with one bucket, ``BUCKET``."""
    with S3Server(server_directory / "s3") as server:
        server.make_bucket(BUCKET)
        yield server


@pytest.fixture
def ssh_access(sshd_server: SshServer, tmp_path: Path) -> StorageAccess:
    """Access over SSH to a new, empty base directory."""
    base = tmp_path / "ssh-storage"
    base.mkdir()
    return sshd_server.access(base)


@pytest.fixture
def bare_ssh_access(bare_sshd_server: SshServer, tmp_path: Path) -> StorageAccess:
    """The same on the server without extensions."""
    base = tmp_path / "bare-ssh-storage"
    base.mkdir()
    return bare_sshd_server.access(base)


@pytest.fixture
def s3_access(s3_server: S3Server) -> StorageAccess:
    """Access to a new prefix of the test bucket."""
    return StorageAccess(s3_storage(s3_server, prefix=f"p-{secrets.token_hex(6)}"))


def s3_storage(server: S3Server, prefix: str = "", bucket: str = BUCKET, secret: str = "") -> S3Storage:
    """Return the entry of a place on ``server``; volumes of 8 MiB."""
    return S3Storage(
        storage_name="s3",
        aws_key_id=server.access_key,
        aws_secret_key=Secret(secret or server.secret_key),
        bucket_name=bucket,
        file_size=8,
        endpoint_url=server.endpoint_url,
        region=server.region,
        prefix=prefix,
    )
