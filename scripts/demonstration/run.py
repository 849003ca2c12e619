# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demonstration from end to end."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import shlex
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from checks.survivors import end_survivors
from demonstration.agents import DemoAgent
from demonstration.ansible import Ansible
from demonstration.comparing import compare_restored
from demonstration.layout import REPOSITORY, DemoError, Layout, remove_tree
from demonstration.sources import make_sources
from demonstration.table import backup_table, restore_table
from realparts.process import ServerError
from realparts.s3server import S3Server
from realparts.sshd import Sshd, find_ssh_keygen, find_sshd
from realparts.weed import find_weed

RUN_VARIABLE = "PAPI_DEMO_RUN"
HOST_NAME = "demo-host"
RESCUE_NAME = "demo-rescue"
BUCKET = "demo"
S3_FILE_SIZE = 8
RESTORES = 9
"""Three dates from each of two storages, and three more by the second agent."""


def run(layout: Layout) -> int:
    """Run everything; return 0 if each restore is identical, else 1.  Raises :class:`DemoError`."""
    started = time.monotonic()
    _check_parts()
    with _alone(layout):
        _begin_afresh(layout)
        try:
            status = _main_job(layout)
        finally:
            left = end_survivors(_marker(layout))
        if left:
            names = ", ".join(f"{one.pid} {one.command[:120]}" for one in left)
            raise DemoError(f"processes outlived the demonstration, and were ended: {names}")
    print(f"\n{'done' if status == 0 else 'FAILED'} in {time.monotonic() - started:.0f} s")
    print(f"Everything is still in {layout.root}; make demo-clean removes it.")
    return status


def clean(layout: Layout) -> None:
    """Remove the directory of the demonstration and end what a killed one has left running."""
    if not layout.root.exists():
        return
    with _alone(layout):
        end_survivors(_marker(layout), grace=0)
        remove_tree(layout.root)


def _check_parts() -> None:
    try:
        for find in (find_sshd, find_ssh_keygen, find_weed):
            find()
    except ServerError as error:
        raise DemoError(str(error)) from error


@contextlib.contextmanager
def _alone(layout: Layout) -> Iterator[None]:
    """Hold the lock of this checkout's demonstration."""
    layout.root.mkdir(mode=0o700, exist_ok=True)
    with open(layout.root / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DemoError("another demonstration runs in this checkout") from error
        yield


def _marker(layout: Layout) -> str:
    return f"{RUN_VARIABLE}={layout.root}"


def _begin_afresh(layout: Layout) -> None:
    end_survivors(_marker(layout), grace=0)
    os.environ[RUN_VARIABLE] = str(layout.root)
    for path in layout.root.iterdir():
        if path.name == "lock":
            continue
        remove_tree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    layout.make()


def _main_job(layout: Layout) -> int:
    _title("Copying trees of this machine, so that nothing moves under the comparison")
    for line in make_sources(layout):
        print(f"    {line}", flush=True)
    _title("Building the collection and installing it")
    ansible = Ansible(layout)
    print(f"    {ansible.install_collection()}")
    _title("Starting an SSH server, an S3 server and two agents")
    with contextlib.ExitStack() as running:
        sshd, s3_server = _start_servers(layout, running)
        first = running.enter_context(DemoAgent(layout, "agent", HOST_NAME))
        second = running.enter_context(DemoAgent(layout, "second", RESCUE_NAME))
        print(f"    sshd on port {sshd.port}, S3 on port {s3_server.port}")
        print(f"    agents on {first.socket} and {second.socket}")
        _title("Running the playbook of the installed collection, of which only its run-time parts are left")
        ansible.play(_variables(layout, sshd, s3_server, first, second))
    return _judge(layout)


def _start_servers(layout: Layout, running: contextlib.ExitStack) -> tuple[Sshd, S3Server]:
    try:
        sshd = running.enter_context(Sshd(layout.root / "sshd"))
        s3_server = S3Server(layout.root / "s3", access_key=secrets.token_hex(8))
        s3_server.directory.mkdir(exist_ok=True)
        running.enter_context(s3_server)
        s3_server.make_bucket(BUCKET)
    except ServerError as error:
        raise DemoError(f"a server did not start: {error}") from error
    (layout.root / "ssh-storage").mkdir()
    return sshd, s3_server


def _variables(
    layout: Layout, sshd: Sshd, s3_server: S3Server, first: DemoAgent, second: DemoAgent
) -> dict[str, object]:
    paths = [str(path) for path in layout.source_paths]
    return {
        "demo_socket": str(first.socket),
        "demo_second_socket": str(second.socket),
        "demo_hostname": first.host_name,
        "demo_dir": str(layout.root),
        "demo_step": shlex.quote(str(REPOSITORY / "scripts" / "demo")),
        "demo_report": str(layout.report),
        "demo_encryption_key": secrets.token_urlsafe(24),
        "demo_ssh_paths": paths,
        "demo_s3_paths": paths,
        "demo_ssh_port": sshd.port,
        "demo_ssh_user": sshd.user,
        "demo_ssh_base": str(layout.root / "ssh-storage"),
        "demo_ssh_host_key": sshd.host_key,
        "demo_authorized_keys": str(sshd.directory / "authorized_keys"),
        "demo_s3_endpoint": s3_server.endpoint_url,
        "demo_s3_bucket": BUCKET,
        "demo_s3_key_id": s3_server.access_key,
        "demo_s3_secret_key": s3_server.secret_key,
        "demo_s3_region": s3_server.region,
        "demo_s3_file_size": S3_FILE_SIZE,
    }


def _judge(layout: Layout) -> int:
    _title("Comparing each restored tree with the snapshot of its date")
    report = json.loads(layout.report.read_text())
    restores = report["restores"]
    if len(restores) != RESTORES:
        raise DemoError(f"{RESTORES} restores are expected, the playbook reports {len(restores)}")
    verdicts = []
    for restore in restores:
        target = Path(restore["target_dir"])
        verdicts.append(compare_restored(layout, restore["snapshot"], target))
        print(f"    {target.name}: {verdicts[-1].text}", flush=True)
    print()
    print(backup_table(report["backups"]))
    print()
    print(restore_table(restores, verdicts))
    for reason in sorted({why for verdict in verdicts for why in verdict.not_compared}):
        print(f"not compared: {reason}")
    different = [target for target, verdict in zip(restores, verdicts, strict=True) if not verdict.identical]
    for restore in different:
        print(f"demo: FAILED: {restore['target_dir']} is not snapshot {restore['snapshot']}", file=sys.stderr)
    if not different:
        shutil.rmtree(layout.scratch, ignore_errors=True)
    return 1 if different else 0


def _title(text: str) -> None:
    print(f"\n== {text}", flush=True)
