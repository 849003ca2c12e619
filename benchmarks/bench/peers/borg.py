# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""borg, over ssh: its other half runs on the server."""

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
from bench.servers import SftpServer


@dataclass(frozen=True, slots=True)
class Borg:
    """A program ``borg``."""

    program: Path
    version: str
    name: str = "borg"
    steps: Sequence[Step] = STEPS
    storages: Sequence[str] = ("sftp",)
    loses: Sequence[str] = ()
    slow: bool = True
    remarks: str = (
        "zstd,3, repokey-blake2, its cache kept between the steps. It speaks to a borg on the server, whose"
        " CPU and memory do not count here; that one writes to disk (fsync)"
    )

    def create(self, task: Task) -> Repository:
        """Make the repository."""
        if not isinstance(task.place.server, SftpServer):
            raise StepFailedError("borg speaks ssh only")
        return _Repository(self.program, task, task.place.server)


class _Repository:
    def __init__(self, program: Path, task: Task, server: SftpServer) -> None:
        self._source = task.source
        self._program = str(program)
        key = task.scratch / "passphrase"
        key.touch(mode=0o600)
        key.write_text(secrets.token_hex(24))
        self._environment = {
            "BORG_PASSCOMMAND": shlex.join(["cat", str(key)]),
            "BORG_BASE_DIR": str(task.scratch / "base"),
            "BORG_RSH": shlex.join(server.ssh),
            "BORG_REMOTE_PATH": self._program,
            "BORG_REPO": f"ssh://{server.host}{server.base / task.place.name}",
        }
        self._newest = ""
        done = subprocess.run(
            [self._program, "init", "-e", "repokey-blake2"],
            env={**os.environ, **self._environment},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise StepFailedError(f"borg init: {done.stderr[-800:]}")

    def back_up(self, step: Step) -> Figures:
        """Make an archive."""
        self._newest = step
        return self._measure("create", "--compression", "zstd,3", f"::{step}", str(self._source))

    def restore(self, target: Path) -> Figures:
        """Restore all."""
        return self._measure("extract", f"::{self._newest}", directory=target)

    def restore_one(self, path: Path, target: Path) -> Figures:
        """Restore one file."""
        return self._measure("extract", f"::{self._newest}", f"pp:{path.relative_to('/')}", directory=target)

    def list_backups(self) -> Figures:
        """List the archives."""
        return self._measure("list")

    def where(self, path: Path, target: Path) -> Path:
        """Return where a restore puts ``path``: below the target with its whole path."""
        return target / path.relative_to("/")

    def remove(self) -> None:
        """Nothing is kept elsewhere."""

    def _measure(self, *arguments: str, directory: Path | None = None) -> Figures:
        return measure([self._program, *arguments], self._environment, directory)
