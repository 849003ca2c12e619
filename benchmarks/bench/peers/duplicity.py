# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""duplicity, over SFTP and S3."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.measuring import Figures, StepFailedError, measure
from bench.peers.protocol import STEPS, Repository, Step, Task
from bench.servers import BUCKET, S3Storage, SftpServer


@dataclass(frozen=True, slots=True)
class Duplicity:
    """A program ``duplicity``."""

    program: Path
    version: str
    name: str = "duplicity"
    steps: Sequence[Step] = STEPS
    storages: Sequence[str] = ("sftp", "s3")
    loses: Sequence[str] = ("mtimes", "hard links", "xattrs")
    slow: bool = True
    remarks: str = (
        "as it comes: volumes of 200 MB, gpg with its own compression, its archive directory kept between the"
        " steps. No deduplication; times in whole seconds, no hard links, no extended attributes; no fsync"
    )

    def create(self, task: Task) -> Repository:
        """Nothing has to be made."""
        return _Repository(self.program, task)


class _Repository:
    def __init__(self, program: Path, task: Task) -> None:
        self._source = task.source
        gnupg = task.scratch / "gnupg"
        gnupg.mkdir(mode=0o700)
        self._environment = {"PASSPHRASE": secrets.token_hex(24), "GNUPGHOME": str(gnupg)}
        self._program = str(program)
        self._options = ["--archive-dir", str(task.scratch / "archive"), "--verbosity", "error"]
        server = task.place.server
        if isinstance(server, S3Storage):
            self._address = self._bucket(server, task.place.name)
        elif isinstance(server, SftpServer):
            self._address = self._ssh(server, task.place.name)
        else:
            raise StepFailedError(f"duplicity does not speak {server.kind}")

    def _bucket(self, server: S3Storage, name: str) -> str:
        self._environment |= {
            "AWS_ACCESS_KEY_ID": server.server.access_key,
            "AWS_SECRET_ACCESS_KEY": server.server.secret_key,
            "AWS_DEFAULT_REGION": server.server.region,
            "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
            "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
        }
        self._options += ["--s3-endpoint-url", server.server.endpoint_url]
        return f"boto3+s3://{BUCKET}/{name}"

    def _ssh(self, server: SftpServer, name: str) -> str:
        known = server.known_hosts
        options = (
            f"-oIdentityFile={server.client_key} -oUserKnownHostsFile={known} -oGlobalKnownHostsFile={known}"
        )
        self._options += [f"--ssh-options={options}"]
        return f"paramiko+sftp://{server.sshd.user}@127.0.0.1:{server.sshd.port}/{server.base / name}"

    def back_up(self, step: Step) -> Figures:
        """Back up in full, or what changed."""
        kind = "full" if step == "full" else "incremental"
        return self._measure(kind, str(self._source), self._address)

    def restore(self, target: Path) -> Figures:
        """Restore all."""
        return self._measure("restore", self._address, str(target / self._source.name))

    def restore_one(self, path: Path, target: Path) -> Figures:
        """Restore one file."""
        below = path.relative_to(self._source)
        place = self.where(path, target)
        place.parent.mkdir(parents=True)
        return self._measure("restore", "--path-to-restore", str(below), self._address, str(place))

    def list_backups(self) -> Figures:
        """List the chains."""
        return self._measure("collection-status", self._address)

    def where(self, path: Path, target: Path) -> Path:
        """Return where a restore puts ``path``."""
        return target / path.relative_to(self._source.parent)

    def remove(self) -> None:
        """Nothing is kept elsewhere."""

    def _measure(self, action: str, *arguments: str) -> Figures:
        return measure([self._program, action, *self._options, *arguments], self._environment)
