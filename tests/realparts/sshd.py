# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A private OpenSSH server with SFTP only, on a free loopback port, for the calling user.

Everything it needs and writes lies in the given directory: ``sshd_config``, ``host_key_*``,
``authorized_keys``, ``sshd.log``.  Root is not needed; without root only the same user can log in.
"""

from __future__ import annotations

import argparse
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from realparts.command import serve
from realparts.process import OwnedProcess, ServerError, accepts_connections, free_ports

READY_SECONDS = 10.0
_INSTALL = "install it with: apt-get install openssh-server (Debian) or your system's OpenSSH package"
_CONFIG = """\
ListenAddress 127.0.0.1
Port {port}
AuthorizedKeysFile {directory}/authorized_keys
PidFile none
Subsystem sftp internal-sftp {options}
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
AllowTcpForwarding no
X11Forwarding no
PrintMotd no
UseDNS no
MaxStartups 100
LogLevel VERBOSE
"""


def find_sshd() -> str:
    """Return the path of sshd; raises :class:`ServerError` saying what to install."""
    found = shutil.which("sshd", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")
    if not found:
        raise ServerError(f"no sshd on this machine: {_INSTALL}")
    return found


def find_ssh_keygen() -> str:
    """Return the path of ssh-keygen; raises :class:`ServerError` saying what to install."""
    found = shutil.which("ssh-keygen")
    if not found:
        raise ServerError(f"no ssh-keygen on this machine: {_INSTALL}")
    return found


class Sshd:
    """A running sshd; a context manager.

    ``denied_requests`` are SFTP requests the server neither offers nor serves, by the names of
    sftp-server(8) ``-P`` (``fsync``, ``posix-rename``, ``limits``, …).
    """

    def __init__(
        self,
        directory: Path,
        denied_requests: Sequence[str] = (),
        port: int = 0,
        host_key_types: Sequence[str] = ("ed25519",),
        *,
        commands: bool = False,
        ciphers: str = "",
    ) -> None:
        """``commands``: clients may run any, not SFTP alone; ``ciphers``: the only ones permitted."""
        self.directory = Path(directory).absolute()
        self.port = port or free_ports(1)[0]
        self.user = pwd.getpwuid(os.geteuid()).pw_name
        self._denied = tuple(denied_requests)
        self._key_types = tuple(host_key_types)
        self._commands = commands
        self._ciphers = ciphers
        self._process = OwnedProcess(
            [find_sshd(), "-D", "-e", "-f", str(self.directory / "sshd_config")], self.directory / "sshd.log"
        )

    def __enter__(self) -> Sshd:
        self.start()
        return self

    def __exit__(self, *unused_details: object) -> None:
        self.stop()

    @property
    def host_key(self) -> str:
        """The server's (first) public key as ``<type> <base64>``."""
        return self.host_keys[0]

    @property
    def host_keys(self) -> list[str]:
        """All public keys of the server."""
        texts = [self._key_path(kind).with_suffix(".pub").read_text() for kind in self._key_types]
        return [" ".join(text.split()[:2]) for text in texts]

    @property
    def is_alive(self) -> bool:
        """Whether the listening process runs."""
        return self._process.pid != 0

    def start(self) -> None:
        """Write the configuration, make a host key if there is none, start, wait until it listens."""
        self.directory.mkdir(parents=True, exist_ok=True)
        for kind in self._key_types:
            self._make_host_key(kind)
        authorized = self.directory / "authorized_keys"
        authorized.touch(mode=0o600)
        options = f"-P {','.join(self._denied)}" if self._denied else ""
        (self.directory / "sshd_config").write_text(
            _CONFIG.format(port=self.port, directory=self.directory, options=options)
            + ("" if self._commands else f"ForceCommand internal-sftp {options}\n")
            + (f"Ciphers {self._ciphers}\n" if self._ciphers else "")
            + "".join(f"HostKey {self._key_path(kind)}\n" for kind in self._key_types)
        )
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, parents=True, exist_ok=True)  # sshd refuses to run without
        self._process.start()
        self._process.wait_ready(lambda: accepts_connections(self.port), READY_SECONDS)

    def stop(self) -> None:
        """End the server and the sessions it has forked."""
        self._process.stop()

    def add_authorized_key(self, public_key: str) -> None:
        """Let the owner of ``public_key`` (one line of OpenSSH text) in."""
        with (self.directory / "authorized_keys").open("a") as file:
            file.write(f"{public_key.strip()}\n")

    def _key_path(self, kind: str) -> Path:
        return self.directory / f"host_key_{kind}"

    def _make_host_key(self, kind: str) -> None:
        path = self._key_path(kind)
        if path.exists():
            return
        subprocess.run([find_ssh_keygen(), "-q", "-t", kind, "-N", "", "-C", "", "-f", str(path)], check=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a server until TERM."""
    parser = argparse.ArgumentParser(prog="realparts.sshd", description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--port-file", type=Path, required=True, help="written once the server listens")
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    parser.add_argument("--deny", default="", help="SFTP requests to deny, comma-separated")
    options = parser.parse_args(arguments)
    try:
        server = Sshd(options.directory, [name for name in options.deny.split(",") if name], options.port)
    except ServerError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return serve(server, options.port_file)


if __name__ == "__main__":
    sys.exit(main())
