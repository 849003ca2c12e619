# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real agent that listens over TLS, with a viewer's token, for those who watch it from outside."""

from __future__ import annotations

import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from agent_process import AgentProcess, eventually

from papi_backup.model.schedule import BackupConfig, Schedule
from papi_backup.model.secret import Secret
from papi_backup.model.storage import SshStorage, StorageAccess
from papi_backup.state.store import Store

KEY = "the key that encrypts backups"
PASSWORD = "the password of a person"


def free_port() -> int:
    """Return a port of loopback that nobody listens on now."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port: int = server.getsockname()[1]
        return port


class WatchedAgent:
    """An agent with the backups ``good`` and ``bad``; the latter has a source that does not exist."""

    def __init__(self, daemon: AgentProcess, access: StorageAccess, directory: Path) -> None:
        self.daemon = daemon
        self.url = f"https://localhost:{free_port()}"
        self.ca_path = directory / "authority.pem"
        self.token = ""
        source = directory / "source"
        source.mkdir()
        (source / "file").write_text("content\n")
        daemon.configure(
            f'state_dir = "{daemon.state}"\nhost_name = "host.example"\n[api]\n'
            f'socket = "{daemon.directory}/agent.sock"\n'
            f'listen = "127.0.0.1:{self.url.rpartition(":")[2]}"\ntls = "self-made"\n'
        )
        with Store.open(daemon.state) as store:
            if access.ssh_id is not None:
                store.ssh_ids.add(access.ssh_id)
            assert isinstance(access.storage, SshStorage)
            storage_id = store.storages.add(access.storage).storage_id
            daily = Schedule(period="daily", time_run=(3,))
            for name, path in (("good", source), ("bad", directory / "missing")):
                config = BackupConfig(name, storage_id, Secret(KEY), inc=daily, paths=(str(path),))
                store.configs.add(config)

    def start(self) -> None:
        """Start it, make a token, and fetch the authority of its certificate."""
        self.daemon.start_and_wait()
        self.token = self.command("token", "add", "eda", "--role", "viewer")
        self.command("account", "add", "anna", "--role", "viewer", "--password-file", "-", typed=PASSWORD)
        self.ca_path.write_text(self.command("tls", "authority") + "\n")

    def command(self, *arguments: str, typed: str = "") -> str:
        """Run the operator's command beside the running agent; return what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "papi_backup.cli", "--config", str(self.daemon.config), *arguments],
            input=typed,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        return done.stdout.strip()

    def run(self, backup_name: str) -> int:
        """Run a backup to its end; return the number of its job."""
        answer = self.daemon.ask(
            "/papi/backup/backup/run", "POST", backup_name=backup_name, backup_type="full"
        )
        job_id: int = answer["job_id"]

        def ended() -> bool:
            jobs = self.daemon.ask("/papi/backup/job/list")["data"]
            return any(job["job_id"] == job_id and job["end_date"] for job in jobs)

        eventually(ended, f"job {job_id} ends")
        return job_id

    def arguments(self, **more: Any) -> dict[str, Any]:
        """Return the arguments of a source that watches this agent with the token."""
        agent = {"name": "web1", "url": self.url, "ca_path": str(self.ca_path)}
        return {"agents": [agent], "key": "eda", "api_token": self.token, "interval": 0.1, **more}
