# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gets the tools that this machine can have, and says why it lacks the others."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.debian_packages import run
from bench.installing import borg_program, duplicity_program, restic_program
from bench.missing import MissingError
from bench.peers.borg import Borg
from bench.peers.duplicity import Duplicity
from bench.peers.ours import HOST_NAME, Ours
from bench.peers.protocol import Peer
from bench.peers.restic import Restic
from bench.peers.tarpipe import TarPipe
from papi_backup import __version__
from realparts.agent import Agent
from realparts.process import ServerError

NAMES = ("ours", "restic", "tar pipe", "borg", "duplicity")
Provider = Callable[[Path, Path, contextlib.ExitStack], Peer]


@dataclass(slots=True)
class Provided:
    """The tools, and why others are left out, by name."""

    peers: list[Peer] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)


def provide(
    names: Sequence[str],
    cache: Path,
    work: Path,
    running: contextlib.ExitStack,
    providers: Mapping[str, Provider] | None = None,
) -> Provided:
    """Get each tool; what runs is ended with ``running``."""
    found = Provided()
    for name in names:
        try:
            found.peers.append((providers or PROVIDERS)[name](cache, work, running))
        except MissingError as error:
            found.left_out[name] = str(error)
    return found


def _ours(cache: Path, work: Path, running: contextlib.ExitStack) -> Peer:
    del cache
    directory = work / "agent"
    directory.mkdir()
    try:
        agent = running.enter_context(Agent(directory, HOST_NAME))
    except ServerError as error:
        raise MissingError(str(error)) from error
    return Ours(agent, __version__)


def _restic(cache: Path, work: Path, running: contextlib.ExitStack) -> Peer:
    del work, running
    program = restic_program(cache)
    return Restic(program, run(str(program), "version").split()[1])


def _borg(cache: Path, work: Path, running: contextlib.ExitStack) -> Peer:
    del work, running
    _need("ssh")
    program = borg_program(cache)
    return Borg(program, run(str(program), "--version").split()[1])


def _duplicity(cache: Path, work: Path, running: contextlib.ExitStack) -> Peer:
    del work, running
    _need("gpg")
    program = duplicity_program(cache)
    return Duplicity(program, run(str(program), "--version").split()[1])


def _tar_pipe(cache: Path, work: Path, running: contextlib.ExitStack) -> Peer:
    del cache, work, running
    versions = []
    for name, option in (("tar", "--version"), ("zstd", "-V"), ("openssl", "version"), ("ssh", "-V")):
        _need(name)
        done = subprocess.run([name, option], capture_output=True, text=True, check=False)
        versions.append(_version(name, done.stdout or done.stderr))
    return TarPipe(", ".join(versions))


def _need(name: str) -> None:
    if not shutil.which(name):
        raise MissingError(f"no {name} on this machine")


def _version(name: str, said: str) -> str:
    """Return the name and the first word that looks like a version."""
    words = said.replace(",", " ").replace("_", " ").split()
    return f"{name} {next((word.lstrip('v') for word in words if word.lstrip('v')[:1].isdigit()), '?')}"


PROVIDERS: Mapping[str, Provider] = {
    "ours": _ours,
    "restic": _restic,
    "tar pipe": _tar_pipe,
    "borg": _borg,
    "duplicity": _duplicity,
}
