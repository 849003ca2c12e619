# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the agent knows of a storage and of an SSH id (docs/api.md, "list_storages", "list_ssh_ids")."""

from __future__ import annotations

from dataclasses import dataclass, field

from papi_backup.model.secret import NO_SECRET, Secret
from papi_backup.model.sizes import MEBIBYTE

DEFAULT_FILE_SIZE_SSH = 64 * MEBIBYTE
DEFAULT_FILE_SIZE_S3 = 32 * MEBIBYTE


@dataclass(frozen=True, slots=True)
class SshId:
    """An SSH key pair.  ``private_key`` is OpenSSH PEM text and never leaves the agent."""

    ssh_id_id: int
    key_name: str
    key_length: int
    public_key: str
    private_key: Secret = field(default=NO_SECRET)


@dataclass(frozen=True, slots=True)
class SshStorage:
    """An SFTP storage.  ``host_key`` is "<type> <base64>"; empty until the first contact pins it."""

    storage_name: str
    server_name: str
    ssh_port: int
    ssh_username: str
    ssh_id_id: int
    storage_base: str
    host_key: str = ""
    storage_id: int = 0

    type = "ssh"

    @property
    def volume_size(self) -> int:
        """Largest object this storage may hold, in bytes."""
        return DEFAULT_FILE_SIZE_SSH

    @property
    def location(self) -> str:
        """Names the place, not the credentials: two entries with one location are the same storage."""
        return f"ssh://{self.ssh_username}@{self.server_name}:{self.ssh_port}{self.storage_base.rstrip('/')}"

    @property
    def server(self) -> str:
        """Names what answers: all storages behind it hang together."""
        return f"ssh://{self.server_name.lower()}:{self.ssh_port}"


@dataclass(frozen=True, slots=True)
class S3Storage:
    """An S3 bucket.  ``file_size`` is in mebibytes; 0 means the default."""

    storage_name: str
    aws_key_id: str
    aws_secret_key: Secret
    bucket_name: str
    file_size: int
    endpoint_url: str = ""
    region: str = ""
    prefix: str = ""
    storage_id: int = 0

    type = "s3"

    @property
    def volume_size(self) -> int:
        """Largest object this storage may hold, in bytes."""
        return self.file_size * MEBIBYTE or DEFAULT_FILE_SIZE_S3

    @property
    def location(self) -> str:
        """Names the place, not the credentials."""
        return f"s3://{self.endpoint_url or self.region}/{self.bucket_name}/{self.prefix.strip('/')}"

    @property
    def server(self) -> str:
        """Names what answers; at AWS, which needs no endpoint, each bucket by itself."""
        return self.endpoint_url or f"s3://{self.region}/{self.bucket_name}"


StorageConfig = SshStorage | S3Storage


@dataclass(frozen=True, slots=True)
class StorageAccess:
    """All that is needed to open a storage in another process: the entry and, for SSH, its key."""

    storage: StorageConfig
    ssh_id: SshId | None = None
