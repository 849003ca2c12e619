# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""restic, over SFTP and S3."""

from __future__ import annotations

import os
import secrets
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.measuring import Figures, StepFailedError, measure
from bench.peers.protocol import STEPS, Repository, Step, Task
from bench.servers import BUCKET, S3Storage, SftpServer


@dataclass(frozen=True, slots=True)
class Restic:
    """A program ``restic``."""

    program: Path
    version: str
    name: str = "restic"
    steps: Sequence[Step] = STEPS
    storages: Sequence[str] = ("sftp", "s3")
    loses: Sequence[str] = ()
    slow: bool = False
    remarks: str = (
        "as it comes: compression auto, AES-256-CTR with Poly1305, its cache kept between the steps."
        " Its SFTP backend does not ask the server to write to disk (no fsync)"
    )

    def create(self, task: Task) -> Repository:
        """Make the repository."""
        return _Repository(self.program, task)


class _Repository:
    def __init__(self, program: Path, task: Task) -> None:
        self._source = task.source
        key = task.scratch / "password"
        key.touch(mode=0o600)
        key.write_text(secrets.token_hex(24))
        cache = task.scratch / "cache"
        self._environment = {"RESTIC_PASSWORD_FILE": str(key), "RESTIC_CACHE_DIR": str(cache)}
        self._command = [str(program), "--quiet", *self._address(task)]
        done = subprocess.run(
            [*self._command, "init"],
            env={**os.environ, **self._environment},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise StepFailedError(f"restic init: {done.stderr[-800:]}")

    def _address(self, task: Task) -> list[str]:
        server = task.place.server
        if isinstance(server, S3Storage):
            s3 = server.server
            self._environment |= {"AWS_ACCESS_KEY_ID": s3.access_key, "AWS_SECRET_ACCESS_KEY": s3.secret_key}
            return ["-r", f"s3:{s3.endpoint_url}/{BUCKET}/{task.place.name}"]
        if not isinstance(server, SftpServer):
            raise StepFailedError(f"restic does not speak {server.kind} here")
        ssh = shlex.join([*server.ssh, server.host, "-s", "sftp"])
        return ["-r", f"sftp:{server.host}:{server.base / task.place.name}", "-o", f"sftp.command={ssh}"]

    def back_up(self, step: Step) -> Figures:
        """Back up; restic finds the parent itself."""
        del step
        return self._measure("backup", str(self._source))

    def restore(self, target: Path) -> Figures:
        """Restore all."""
        return self._measure("restore", "latest", "--target", str(target))

    def restore_one(self, path: Path, target: Path) -> Figures:
        """Restore one file."""
        return self._measure("restore", "latest", "--include", str(path), "--target", str(target))

    def list_backups(self) -> Figures:
        """List the snapshots."""
        return self._measure("snapshots")

    def where(self, path: Path, target: Path) -> Path:
        """Return where a restore puts ``path``: below the target with its whole path."""
        return target / path.relative_to("/")

    def remove(self) -> None:
        """Nothing is kept elsewhere."""

    def _measure(self, *arguments: str) -> Figures:
        return measure([*self._command, *arguments], self._environment)
