# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""tar | zstd | openssl | ssh: no list of files, no deduplication, no authentication.  The limit."""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.measuring import Figures, StepFailedError, measure
from bench.peers.protocol import Repository, Step, Task
from bench.servers import SftpServer

_CIPHER = ("openssl", "enc", "-aes-256-cbc", "-pbkdf2")


@dataclass(frozen=True, slots=True)
class TarPipe:
    """The pipe.  Extended attributes and fractions of seconds are not in tar's own format."""

    version: str
    name: str = "tar pipe"
    steps: Sequence[Step] = ("full", "restore")
    storages: Sequence[str] = ("sftp",)
    loses: Sequence[str] = ("mtimes", "xattrs")
    slow: bool = False
    remarks: str = (
        "tar | zstd -3 | openssl enc -aes-256-cbc -pbkdf2 | ssh 'cat > file; sync file': fulls only,"
        " nothing authenticated, no file can be had alone; times in whole seconds, no extended attributes"
    )

    def create(self, task: Task) -> Repository:
        """Make a directory."""
        if not isinstance(task.place.server, SftpServer):
            raise StepFailedError("the tar pipe speaks ssh only")
        return _Archive(task, task.place.server)


class _Archive:
    def __init__(self, task: Task, server: SftpServer) -> None:
        directory = server.base / task.place.name
        directory.mkdir(parents=True)
        self._file = shlex.quote(str(directory / "archive"))
        self._source = task.source
        self._ssh = [*server.ssh, server.host]
        key = task.scratch / "key"
        key.touch(mode=0o600)
        key.write_text(secrets.token_hex(24))
        self._key = ("-pass", f"file:{key}")

    def back_up(self, step: Step) -> Figures:
        """Write an archive of everything."""
        if step != "full":
            raise StepFailedError("a pipe makes fulls only")
        return _pipe(
            ["tar", "-C", str(self._source.parent), "-cf", "-", self._source.name],
            ["zstd", "-q", "-3", "-c"],
            [*_CIPHER, "-salt", *self._key],
            [*self._ssh, f"cat > {self._file} && sync {self._file}"],
        )

    def restore(self, target: Path) -> Figures:
        """Unpack all; the source has changed since the full, so the archive is made again, uncounted."""
        self.back_up("full")
        return _pipe(
            [*self._ssh, f"cat {self._file}"],
            [*_CIPHER, "-d", *self._key],
            ["zstd", "-q", "-d", "-c"],
            ["tar", "-C", str(target), "-xpf", "-"],
        )

    def restore_one(self, path: Path, target: Path) -> Figures:
        """A pipe would have to fetch everything."""
        raise StepFailedError(f"a pipe cannot fetch {path.name} alone into {target}")

    def list_backups(self) -> Figures:
        """There is no list."""
        raise StepFailedError("a pipe has no list")

    def where(self, path: Path, target: Path) -> Path:
        """Return where a restore puts ``path``."""
        return target / path.relative_to(self._source.parent)

    def remove(self) -> None:
        """Nothing is kept elsewhere."""


def _pipe(*commands: Sequence[str]) -> Figures:
    return measure(["bash", "-o", "pipefail", "-c", " | ".join(map(shlex.join, commands))])
