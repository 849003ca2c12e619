# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was acknowledged survives kill -9, steps are whole, threads and processes get along."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

import papi_backup
from papi_backup.model.job import Job
from papi_backup.model.secret import Secret
from papi_backup.model.storage import S3Storage
from papi_backup.state.database import StateError
from papi_backup.state.jobs import JobRequest
from papi_backup.state.schema import MIGRATIONS
from papi_backup.state.store import Store

# Each step writes one number to three tables, and tells it only when the step is committed.
WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from papi_backup.model.job import Job
from papi_backup.model.secret import Secret
from papi_backup.state.jobs import JobRequest
from papi_backup.state.schema import MIGRATIONS
from papi_backup.state.store import Store

store = Store.open(Path(sys.argv[1]), machine_id_path=Path(sys.argv[2]), environment={})
number = int(store.high_water.get("place", "etc") or 0)
while True:
    number += 1
    with store.transaction():
        store.high_water.put("place", "etc", str(number))
        job = Job(0, "backup", "waiting", "etc", "full", datetime.now(UTC), request_id=str(number))
        store.jobs.add(job, JobRequest(1))
        store.chain_keys.put(f"chain-{number}", Secret(str(number)))
    print(number, flush=True)
"""


def _write_until_killed(state: Path, machine_id: Path, seconds: float) -> int:
    """Run the writer, kill it in the middle of its work; returns the last number it acknowledged."""
    source = str(Path(papi_backup.__file__).parents[1])
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(state), str(machine_id)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": source},
    ) as writer:
        assert writer.stdout is not None
        acknowledged = int(writer.stdout.readline())
        time.sleep(seconds)
        writer.send_signal(signal.SIGKILL)
        return int(([str(acknowledged), *writer.stdout.read().split()])[-1])


def test_after_kill_9_every_acknowledged_step_is_there_and_none_is_half(
    open_store: Callable[..., Store], tmp_path: Path
) -> None:
    open_store().close()
    for seconds in (0.0, 0.05, 0.1, 0.17):
        acknowledged = _write_until_killed(tmp_path / "state", tmp_path / "machine-id", seconds)
        with open_store() as store:
            written = int(store.high_water.get("place", "etc"))
            assert written in (acknowledged, acknowledged + 1)
            assert [job.request_id for job in store.jobs.list()] == [
                str(number) for number in range(1, written + 1)
            ]
            assert len(store.chain_keys.all()) == written


def _dies_at_event(number: int, state: Path, opened: Callable[[], Store]) -> bool:
    """Open the state in a fork that kills itself at its ``number``-th touch of a file; False: it lived."""
    child = os.fork()
    if child == 0:
        left = [number]

        def kill_at_last(event: str, arguments: tuple[object, ...]) -> None:
            if event in FILE_EVENTS and str(state) in os.fsdecode(str(arguments[0])):
                left[0] -= 1
                if not left[0]:
                    os.kill(os.getpid(), signal.SIGKILL)

        try:
            sys.addaudithook(kill_at_last)
            opened().close()
            os._exit(0)
        finally:
            os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, -signal.SIGKILL)
    return code != 0


FILE_EVENTS = {"open", "os.rename", "os.remove", "os.mkdir", "os.chmod", "sqlite3.connect"}


def test_killed_at_any_point_of_being_made_or_migrated_the_state_opens_the_next_time(
    open_store: Callable[..., Store], tmp_path: Path
) -> None:
    state = tmp_path / "state"
    for older in (0, 1):
        deaths = 0
        while True:
            shutil.rmtree(state, ignore_errors=True)
            if older:
                open_store(migrations=MIGRATIONS[:older]).close()
            if not _dies_at_event(deaths + 1, state, open_store):
                break
            deaths += 1
            with open_store() as store:
                store.chain_keys.put("c1", Secret("key"))
        assert deaths > 5


def test_a_transaction_that_fails_leaves_nothing(store: Store) -> None:
    with pytest.raises(KeyError), store.transaction():
        store.chain_keys.put("c1", Secret("key"))
        with store.transaction():
            store.high_water.put("place", "etc", "1")
        raise KeyError("planted")
    assert store.chain_keys.all() == ()
    assert store.high_water.get("place", "etc") == ""
    store.chain_keys.put("c2", Secret("key"))
    assert [chain for chain, unused in store.chain_keys.all()] == ["c2"]


def test_two_threads_write_and_read_without_losing_anything(store: Store) -> None:
    failures: list[BaseException] = []

    def work(name: str) -> None:
        try:
            for number in range(50):
                storage = store.storages.add(
                    S3Storage(f"{name}-{number}", "AKIA", Secret(name), "backups", 64)
                )
                job = Job(0, "backup", "waiting", name, "full", datetime.now(UTC))
                queued = store.jobs.add(job, JobRequest(1))
                assert store.storages.get(storage.storage_id) == storage
                assert store.jobs.start(queued.job_id).backup_name == name
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=work, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(store.storages.list()) == len(store.jobs.list()) == 100
    assert {storage.storage_id for storage in store.storages.list()} == set(range(1, 101))


def test_a_thread_waits_for_the_end_of_anothers_transaction(store: Store) -> None:
    inside, seen = threading.Event(), []

    def reader() -> None:
        inside.wait()
        seen.append(store.high_water.get("place", "etc"))

    thread = threading.Thread(target=reader)
    thread.start()
    with store.transaction():
        store.high_water.put("place", "etc", "half")
        inside.set()
        time.sleep(0.05)
        store.high_water.put("place", "etc", "whole")
    thread.join()
    assert seen == ["whole"]


def test_a_command_beside_the_agent_sees_and_changes_the_same_state(open_store: Callable[..., Store]) -> None:
    with open_store() as agent, open_store() as command:
        command.accounts.add("anna", "viewer", Secret("password"))
        assert agent.accounts.verify("anna", Secret("password"))
        agent.accounts.remove("anna")
        assert command.accounts.list() == []


def test_of_two_that_make_a_state_at_once_both_get_the_same(open_store: Callable[..., Store]) -> None:
    instances: list[str] = []

    def opened() -> None:
        with open_store() as store:
            instances.append(store.instance_id)

    threads = [threading.Thread(target=opened) for unused in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(instances) == 4
    assert len(set(instances)) == 1


def test_a_full_disk_is_an_error_in_words_and_the_store_works_on_afterwards(store: Store) -> None:
    database = store._database
    pages = database.rows("PRAGMA page_count")[0][0]
    database.execute(f"PRAGMA max_page_count = {pages}")
    with (
        pytest.raises(StateError, match=r"no space on the file system of .*state.db: make room"),
        store.transaction(),
    ):
        for number in range(200):
            store.chain_keys.put(f"chain-{number}", Secret("x" * 1000))
    assert store.chain_keys.all() == ()
    database.execute(f"PRAGMA max_page_count = {pages + 1000}")
    store.chain_keys.put("chain", Secret("x"))
    assert len(store.chain_keys.all()) == 1
