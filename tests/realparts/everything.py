# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An agent, an sshd and an S3 server together, for as long as a run of tests lasts.

``python -m realparts.everything attach --ancestor ansible-test`` prints the facts of those that belong to the
ancestor process of that name, as JSON.  The first call starts them, in a process of their own that ends them
and removes their directory as soon as the ancestor is gone, however it ended.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from realparts.agent import Agent, find_agent_command
from realparts.process import ServerError, is_running
from realparts.s3server import S3Server
from realparts.sshd import Sshd

READY_SECONDS = 120.0
HOST_NAME = "it-host"
BUCKET = "it-bucket"
REGION = "us-east-1"
ADMINISTRATOR = "it-admin"

Facts = dict[str, str | int]


@contextlib.contextmanager
def everything(directory: Path) -> Iterator[Facts]:
    """Run all three below ``directory``; yield what a client needs to know, by the names that targets use."""
    directory = Path(directory).absolute()
    with contextlib.ExitStack() as running:
        sshd = running.enter_context(Sshd(directory / "sshd"))
        server = S3Server(directory / "s3", access_key=secrets.token_hex(8))
        server.directory.mkdir(parents=True)
        running.enter_context(server)
        server.make_bucket(BUCKET)
        agent = running.enter_context(Agent(directory / "agent", HOST_NAME))
        base = directory / "ssh-storage"
        data = directory / "data"
        for path in (base, data):
            path.mkdir(mode=0o700)
        yield {
            "it_socket": str(agent.socket),
            "it_url": f"http://127.0.0.1:{agent.port}",
            "it_username": ADMINISTRATOR,
            "it_password": _add_administrator(agent),
            "it_hostname": HOST_NAME,
            "it_agent_log": str(agent.log),
            "it_directory": str(data),
            "it_ssh_host": "127.0.0.1",
            "it_ssh_port": sshd.port,
            "it_ssh_user": sshd.user,
            "it_ssh_base": str(base),
            "it_ssh_host_key": sshd.host_key,
            "it_authorized_keys": str(sshd.directory / "authorized_keys"),
            "it_s3_endpoint": server.endpoint_url,
            "it_s3_bucket": BUCKET,
            "it_s3_region": REGION,
            "it_s3_key_id": server.access_key,
            "it_s3_secret_key": server.secret_key,
        }


def _add_administrator(agent: Agent) -> str:
    """Add an account for calls over TCP; return its password."""
    password = f"planted-password-{secrets.token_hex(8)}"
    file = agent.directory / "password"
    file.touch(mode=0o600)
    file.write_text(password)
    command = [find_agent_command("papi-backup"), "--config", str(agent.configuration), "account", "add"]
    command += [ADMINISTRATOR, "--role", "administrator", "--password-file", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    file.unlink()
    if done.returncode:
        raise ServerError(f"no account could be added: {done.stderr.strip()[-500:]}")
    return password


def ancestor(name: str) -> int:
    """Return the outermost process above this one that runs a command ``name``; raises ServerError."""
    found, pid = 0, os.getpid()
    while pid > 1:
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if any(os.path.basename(word) == os.fsencode(name) for word in words[:3]):
                found = pid
        pid = _parent(pid)
    if not found:
        raise ServerError(f"no {name} runs above this process, so nobody would end the servers")
    return found


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def attach(owner: int) -> str:
    """Return the facts of the servers that belong to process ``owner``, as JSON; start them if need be."""
    place = Path(tempfile.gettempdir(), f"papi-it-{owner}")
    with contextlib.suppress(FileExistsError):
        place.mkdir(mode=0o700)
    if place.stat().st_uid != os.geteuid():
        raise ServerError(f"{place} is another user's")
    facts = place / "facts.json"
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not facts.exists():
            _start(place, owner)
    return facts.read_text()


def _start(place: Path, owner: int) -> None:
    command = [sys.executable, "-m", "realparts.everything", "serve", str(place), "--until-gone", str(owner)]
    log = place / "everything.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    deadline = time.monotonic() + READY_SECONDS
    while not (place / "facts.json").exists():
        if process.poll() is not None or time.monotonic() > deadline:
            process.terminate()
            raise ServerError(f"the servers did not start: {log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.1)


def serve(place: Path, owner: int) -> None:
    """Run everything in ``place`` until process ``owner`` is gone or TERM comes; then remove ``place``."""
    told_to_stop = threading.Event()

    def stop(*details: object) -> None:
        del details
        told_to_stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    try:
        with everything(place) as facts:
            temporary = place / "facts.new"
            temporary.touch(mode=0o600)
            temporary.write_text(json.dumps(facts))
            temporary.replace(place / "facts.json")
            while is_running(owner) and not told_to_stop.wait(0.3):
                pass
    finally:
        shutil.rmtree(place, ignore_errors=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Attach to the servers of a run, or serve them."""
    parser = argparse.ArgumentParser(prog="realparts.everything", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    attaching = commands.add_parser("attach", help="print the facts of the run's servers; start them first")
    attaching.add_argument("--ancestor", default="ansible-test", help="the command whose end is theirs")
    serving = commands.add_parser("serve", help="run them (attach calls this)")
    serving.add_argument("directory", type=Path)
    serving.add_argument("--until-gone", type=int, required=True, metavar="PID")
    options = parser.parse_args(arguments)
    try:
        if options.command == "attach":
            print(attach(ancestor(options.ancestor)))
        else:
            serve(options.directory, options.until_gone)
    except ServerError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
