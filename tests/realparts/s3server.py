# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A private S3 server on free loopback ports: SeaweedFS (``weed mini``) in a throw-away directory.

Everything lies in the given directory: ``data/``, ``s3.json`` (mode 0600), ``weed.log``.
"""

from __future__ import annotations

import argparse
import secrets
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from realparts.command import serve
from realparts.process import OwnedProcess, ServerError, free_ports
from realparts.s3request import REGION
from realparts.weed import Door, find_weed, remove_sockets, write_identities

READY_SECONDS = 60.0
_PORT_OPTIONS = (
    "s3.port",
    "s3.port.grpc",
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "volume.port.public",
    "filer.port",
    "filer.port.grpc",
    "filer.port.public",
    "admin.port",
    "admin.port.grpc",
)
_PORT_TAKEN = ("address already in use", "is not available on")
"""What the server ends with when somebody took one of its ports since it was found free."""


class S3Server:
    """A running S3 server; a context manager.  ``keep`` leaves ``data/`` behind at the end."""

    region = REGION

    def __init__(
        self,
        directory: Path,
        access_key: str = "test-access-key",
        secret_key: str = "",
        port: int = 0,
        keep: bool = False,
        *,
        policies: bool = False,
    ) -> None:
        """``policies``: users and their policies can be made with the IAM API, on the same port."""
        self.directory = Path(directory).absolute()
        self.access_key = access_key
        self.secret_key = secret_key or secrets.token_hex(20)
        self.port = port
        self._keep = keep
        self._policies = policies
        self._wanted_port = port
        self._weed = find_weed()
        self._ports: list[int] = []
        self._process: OwnedProcess | None = None

    def __enter__(self) -> S3Server:
        self.start()
        return self

    def __exit__(self, *unused_details: object) -> None:
        self.stop()

    @property
    def endpoint_url(self) -> str:
        """Where clients connect."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def is_alive(self) -> bool:
        """Whether the server's process runs."""
        return self._process is not None and self._process.pid != 0

    def start(self) -> None:
        """Start and wait until an object can be written; other ports are tried if some are taken."""
        data = self.directory / "data"
        data.mkdir(parents=True, exist_ok=True)
        write_identities(self.directory / "s3.json", self.access_key, self.secret_key)
        for attempts_left in (2, 1, 0):
            try:
                self._start_once(data)
                return
            except ServerError as error:
                self.stop()
                if not attempts_left or not any(words in str(error) for words in _PORT_TAKEN):
                    raise

    def stop(self) -> None:
        """End the server and remove its data."""
        if self._process is not None:
            self._process.stop()
        remove_sockets(self._ports)
        if not self._keep:
            shutil.rmtree(self.directory / "data", ignore_errors=True)

    def make_bucket(self, name: str) -> None:
        """Create the bucket ``name``; one that exists is no error."""
        self._door.make_bucket(name)

    def _start_once(self, data: Path) -> None:
        self._ports = free_ports(len(_PORT_OPTIONS))
        if self._wanted_port:
            self._ports[0] = self._wanted_port
        self.port = self._ports[0]
        self._process = OwnedProcess(self._command(data), self.directory / "weed.log", self.directory)
        data.mkdir(exist_ok=True)
        self._process.start()
        self._process.wait_ready(self._door.can_write, READY_SECONDS)

    def _command(self, data: Path) -> list[str]:
        return [
            self._weed,
            "-logtostderr=true",
            "mini",
            f"-dir={data}",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            f"-s3.config={self.directory / 's3.json'}",
            "-s3.autoCreateBucket=false",
            f"-s3.iam.readOnly={'false' if self._policies else 'true'}",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            "-admin.ui=false",
            "-webdav=false",
            "-master.telemetry=false",
            *(f"-{option}={port}" for option, port in zip(_PORT_OPTIONS, self._ports, strict=True)),
        ]

    @property
    def _door(self) -> Door:
        return Door(self.port, self.access_key, self.secret_key)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a server until TERM.  The secret key comes from a file, never from the command line."""
    parser = argparse.ArgumentParser(prog="realparts.s3server", description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--port-file", type=Path, required=True, help="written once the server is ready")
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    parser.add_argument("--access-key", default="test-access-key")
    parser.add_argument("--secret-key-file", type=Path, required=True)
    parser.add_argument("--bucket", action="append", default=[], help="a bucket to make; repeatable")
    parser.add_argument("--keep", action="store_true", help="leave the data when the server stops")
    options = parser.parse_args(arguments)
    try:
        secret = options.secret_key_file.read_text().strip()
        server = _WithBuckets(
            options.directory,
            options.bucket,
            access_key=options.access_key,
            secret_key=secret,
            port=options.port,
            keep=options.keep,
        )
    except (OSError, ServerError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return serve(server, options.port_file)


class _WithBuckets(S3Server):
    """Makes its buckets before it is called ready."""

    def __init__(
        self,
        directory: Path,
        buckets: Sequence[str],
        *,
        access_key: str,
        secret_key: str,
        port: int,
        keep: bool,
    ) -> None:
        super().__init__(directory, access_key, secret_key, port, keep)
        self._buckets = tuple(buckets)

    def start(self) -> None:
        super().start()
        for name in self._buckets:
            self.make_bucket(name)


if __name__ == "__main__":
    sys.exit(main())
