# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The example rulebook under a real ansible-rulebook, from the built collection, with a real agent over TLS.

``make eda`` runs it; PAPI_EDA_BIN is where ansible-rulebook is, PAPI_EDA_COLLECTIONS where the collection is.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[2]
sys.path[:0] = [str(REPOSITORY / "tests"), str(REPOSITORY / "agent/tests/daemon")]
from agent_process import AgentProcess  # noqa: E402 -- found by the lines above
from watched_agent import KEY, WatchedAgent  # noqa: E402

from realparts.pytest_fixtures import SshServer, server_directory, sshd_server  # noqa: E402

FIXTURES = (server_directory, sshd_server)
SECONDS = 90.0
ALERT = Path(__file__).parent / "alert.yml"


@pytest.fixture
def watched(sshd_server: SshServer, tmp_path: Path) -> Iterator[WatchedAgent]:
    (tmp_path / "storage").mkdir()
    daemon = AgentProcess(tmp_path)
    agent = WatchedAgent(daemon, sshd_server.access(tmp_path / "storage"), tmp_path)
    agent.start()
    yield agent
    daemon.close()


class Rulebook:
    """ansible-rulebook with the example, until the test ends."""

    def __init__(self, directory: Path, watched: WatchedAgent) -> None:
        binaries = Path(os.environ["PAPI_EDA_BIN"])
        self.told = directory / "told"
        self.told.mkdir(exist_ok=True)
        self.log = directory / "rulebook.log"
        inventory = directory / "inventory.yml"
        host = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        inventory.write_text(
            json.dumps({"all": {"hosts": {"localhost": host | {"papi_backup_told": str(self.told)}}}})
        )
        variables = directory / "vars.yml"
        variables.touch(0o600)
        values = {
            "papi_backup_agents": [{"name": "web1", "url": watched.url, "ca_path": str(watched.ca_path)}],
            "papi_backup_key": "eda",
            "papi_backup_token": watched.token,
            "papi_backup_state": str(directory / "state.json"),
            "papi_backup_interval": 1,
            "papi_backup_alert": str(ALERT),
        }
        variables.write_text(json.dumps(values))
        command = [str(binaries / "ansible-rulebook"), "--rulebook", "papi.backup.backup_alerts", "--verbose"]
        environment = {
            **os.environ,
            "PATH": f"{binaries}:{os.environ['PATH']}",
            "ANSIBLE_COLLECTIONS_PATH": os.environ["PAPI_EDA_COLLECTIONS"],
            "ANSIBLE_HOME": str(directory / "ansible"),
        }
        environment.pop("PYTHONPATH", None)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--inventory", str(inventory), "--vars", str(variables)],
                env=environment,
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def has_told(self, name: str) -> dict[str, Any]:
        """Wait for an alert; return it."""
        path = self.told / f"{name}.json"
        deadline = time.monotonic() + SECONDS
        while not path.exists():
            assert self._process.poll() is None, f"ansible-rulebook ended:\n{self.log.read_text()}"
            assert time.monotonic() < deadline, f"nothing told of {name}:\n{self.log.read_text()}"
            time.sleep(0.1)
        found: dict[str, Any] = json.loads(path.read_text())
        return found

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def test_a_failed_backup_reaches_a_playbook_once_and_no_secret_is_told(
    watched: WatchedAgent, tmp_path: Path
) -> None:
    rulebook = Rulebook(tmp_path, watched)
    try:
        state = tmp_path / "state.json"
        deadline = time.monotonic() + SECONDS
        while not state.exists():
            assert time.monotonic() < deadline, rulebook.log.read_text()
            time.sleep(0.1)
        watched.run("good")
        number = watched.run("bad")
        alert = rulebook.has_told("failed-bad")
    finally:
        rulebook.stop()
    assert alert["subject"].startswith("bad of host.example failed: [3005] ")
    assert alert["event"]["job"]["job_id"] == number
    assert alert["event"]["meta"]["source"]["type"] == "papi.backup.backup_events"
    assert [path.name for path in rulebook.told.iterdir()] == ["failed-bad.json"]

    # Started again, it tells what happened since, and nothing twice.
    (rulebook.told / "failed-bad.json").unlink()
    number = watched.run("bad")
    rulebook = Rulebook(tmp_path, watched)
    try:
        assert rulebook.has_told("failed-bad")["event"]["job"]["job_id"] == number
    finally:
        rulebook.stop()
    everything = rulebook.log.read_text() + state.read_text() + json.dumps(alert)
    for secret in (watched.token, KEY):
        assert secret not in everything
