# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The private servers that all tools use, and places on them."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import boto3

from realparts.process import ServerError
from realparts.s3server import S3Server
from realparts.sshd import Sshd, find_ssh_keygen

BUCKET = "bench"
CIPHERS = "aes128-gcm@openssh.com,aes256-gcm@openssh.com"
"""What the server permits: the fastest that all clients have, where the processor knows AES."""

_SSH_HOST = "bench"


class Server(Protocol):
    """A storage's server."""

    @property
    def kind(self) -> str:
        """``sftp`` or ``s3``."""

    def bytes_stored(self, name: str) -> int:
        """Return the size of all that lies at the place."""

    def remove(self, name: str) -> None:
        """Empty the place."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where one repository lies: a directory on the SSH server, or a prefix in the bucket."""

    server: Server
    name: str

    @property
    def storage(self) -> str:
        """``sftp`` or ``s3``."""
        return self.server.kind

    def bytes_stored(self) -> int:
        """Return the sum of the sizes of all files or objects."""
        return self.server.bytes_stored(self.name)

    def remove(self) -> None:
        """Remove what lies there."""
        self.server.remove(self.name)


class SftpServer:
    """OpenSSH's sshd.  Its storage is ``base``, which the benchmark looks at without asking it."""

    kind = "sftp"

    def __init__(self, directory: Path, sshd: Sshd) -> None:
        self.sshd = sshd
        self.base = directory / "ssh-storage"
        self.base.mkdir()
        self.client_configuration = directory / "ssh_config"
        self.host = _SSH_HOST
        self.client_key = key = directory / "client_key"
        make = [find_ssh_keygen(), "-q", "-t", "ed25519", "-N", "", "-C", "bench", "-f", str(key)]
        subprocess.run(make, check=True)
        self._let_in: set[str] = set()
        self.let_in(key.with_suffix(".pub").read_text())
        self.known_hosts = known = directory / "known_hosts"
        known.write_text(f"[127.0.0.1]:{sshd.port} {sshd.host_key}\n")
        self.client_configuration.write_text(
            f"Host {_SSH_HOST}\n HostName 127.0.0.1\n Port {sshd.port}\n User {sshd.user}\n"
            f" IdentityFile {key}\n IdentitiesOnly yes\n UserKnownHostsFile {known}\n"
            " StrictHostKeyChecking yes\n BatchMode yes\n ControlMaster no\n"
        )

    def let_in(self, public_key: str) -> None:
        """Let the owner of a key in; again is no error."""
        if public_key not in self._let_in:
            self._let_in.add(public_key)
            self.sshd.add_authorized_key(public_key)

    @property
    def ssh(self) -> tuple[str, ...]:
        """The client's command, up to its options."""
        return ("ssh", "-F", str(self.client_configuration))

    def bytes_stored(self, name: str) -> int:
        """Return the sum of the sizes of the files below."""
        return sum(path.lstat().st_size for path in (self.base / name).rglob("*") if path.is_file())

    def remove(self, name: str) -> None:
        """Remove the directory."""
        shutil.rmtree(self.base / name, ignore_errors=True)


class S3Storage:
    """SeaweedFS."""

    kind = "s3"

    def __init__(self, server: S3Server) -> None:
        self.server = server
        server.make_bucket(BUCKET)

    def bytes_stored(self, name: str) -> int:
        """Return the sum of the sizes of the objects below the prefix."""
        pages = self._client().get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"{name}/")
        return sum(int(one["Size"]) for page in pages for one in page.get("Contents", ()))

    def remove(self, name: str) -> None:
        """Delete all objects below the prefix."""
        client = self._client()
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"{name}/"):
            keys = [{"Key": one["Key"]} for one in page.get("Contents", ())]
            if keys:
                client.delete_objects(Bucket=BUCKET, Delete={"Objects": keys, "Quiet": True})

    def _client(self) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=self.server.endpoint_url,
            region_name=self.server.region,
            aws_access_key_id=self.server.access_key,
            aws_secret_access_key=self.server.secret_key,
        )


@contextlib.contextmanager
def running_server(kind: str, directory: Path) -> Iterator[SftpServer | S3Storage]:
    """Run the server of one kind of storage.  Raises :class:`ServerError` when there is none."""
    directory.mkdir(parents=True)
    if kind == "sftp":
        with Sshd(directory / "sshd", commands=True, ciphers=CIPHERS) as sshd:
            yield SftpServer(directory, sshd)
    elif kind == "s3":
        s3 = S3Server(directory, access_key=secrets.token_hex(8))
        with s3:
            yield S3Storage(s3)
    else:
        raise ServerError(f"no kind of storage is called {kind}")
