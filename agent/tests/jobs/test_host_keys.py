# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Host keys: the first contact of any kind remembers one, the job says so, and another is refused then."""

from __future__ import annotations

import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from realparts.pytest_fixtures import SshServer, make_ssh_id
from supervised_agent import Agent, eventually

from papi_backup.engine.storage.opener import acquainted
from papi_backup.jobs.host_keys import pin_host_key
from papi_backup.jobs.orders import HostKeySeen, dump_message, load_message
from papi_backup.jobs.query_helper import QueryHelper
from papi_backup.model.errors import InvalidStorageError, NoSuchEntityError
from papi_backup.model.host_key import fingerprint
from papi_backup.model.job import BackupOrder, Job, JobResult, RestoreOptions, RestoreOrder
from papi_backup.model.schedule import SourceSet
from papi_backup.model.secret import NO_SECRET, Secret
from papi_backup.model.storage import S3Storage, SshId, SshStorage, StorageAccess
from papi_backup.state.store import Store

KEY, OTHER = "ssh-ed25519 QUFB", "ssh-ed25519 QkJC"
WORKER = (sys.executable, str(Path(__file__).with_name("scripted_query_worker.py")))


@pytest.fixture
def entry(agent: Agent) -> SshStorage:
    """An SSH storage whose server nobody has met."""
    ssh_id = agent.store.ssh_ids.add(SshId(0, "k", 2048, "ssh-ed25519 AAAA", Secret("private")))
    added = agent.store.storages.add(SshStorage("met", "ssh.example", 22, "u", ssh_id.ssh_id_id, "/b"))
    assert isinstance(added, SshStorage)
    return added


def known(store: Store, entry: SshStorage) -> str:
    found = store.storages.get(entry.storage_id)
    assert isinstance(found, SshStorage)
    return found.host_key


def ended(agent: Agent, job: Job) -> Job:
    eventually(lambda: agent.job(job).job_status in ("success", "failed"), "the job's end")
    return agent.job(job)


def backup(agent: Agent, entry: SshStorage, shown: str, act: str = "meets") -> Job:
    """Queue a job whose worker is shown a key."""
    config = agent.config(f"{act}-{shown.split()[1]}")
    agent.store.configs.update(replace(config, storage_id=entry.storage_id))
    return agent.supervisor.enqueue_backup(agent.store.configs.get(config.backup_id), "full")


def test_the_first_job_remembers_the_key_and_says_so(agent: Agent, entry: SshStorage) -> None:
    agent.start()
    job = ended(agent, backup(agent, entry, KEY))
    assert (job.job_status, known(agent.store, entry)) == ("success", KEY)
    assert f"the host key of ssh.example port 22 was not known, {fingerprint(KEY)} is" in job.description


def test_of_two_jobs_that_meet_a_server_at_once_one_remembers_and_the_other_compares(
    agent: Agent, entry: SshStorage
) -> None:
    agent.start(parallel=2)
    jobs = [backup(agent, entry, shown) for shown in (KEY, OTHER)]
    ends = [ended(agent, job) for job in jobs]
    assert sorted(job.job_status for job in ends) == ["failed", "success"]
    (failed,) = [job for job in ends if job.job_status == "failed"]
    assert failed.error_code == InvalidStorageError.code
    assert "the host key of ssh.example port 22 has changed" in failed.description
    assert known(agent.store, entry) == {0: KEY, 1: OTHER}[ends.index(failed) ^ 1]


def test_a_job_that_was_shown_another_key_asks_that_server_nothing_more(
    agent: Agent, entry: SshStorage
) -> None:
    agent.start()
    job = backup(agent, entry, KEY, "meets_late")
    agent.running(job)
    pin_host_key(agent.store, entry, OTHER)
    (unsettled,) = agent.store.unsettled_jobs.all()
    agent.storage.holds[unsettled.backup] = JobResult("a forged backup", "full", 1, 1, 1, 1)
    (agent.settings.state_dir / "go").touch()
    done = ended(agent, job)
    assert (done.job_status, done.error_code) == ("failed", InvalidStorageError.code)
    assert "has changed" in done.description
    assert (agent.storage.asked, agent.store.unsettled_jobs.all()) == ([], [])


def refuse_writes(agent: Agent) -> None:
    """Have the state refuse to change a storage, as a full disk would."""
    with sqlite3.connect(agent.settings.state_dir / "state.db") as other:
        other.execute("CREATE TRIGGER full BEFORE UPDATE ON storages BEGIN INSERT INTO gone VALUES (1); END")


def test_a_job_goes_on_where_the_state_cannot_remember_its_key(
    agent: Agent, entry: SshStorage, caplog: pytest.LogCaptureFixture
) -> None:
    refuse_writes(agent)
    agent.start()
    assert ended(agent, backup(agent, entry, KEY)).job_status == "success"
    assert "storage 'met': its host key is not remembered: " in caplog.text
    assert known(agent.store, entry) == ""


def test_a_list_that_was_answered_is_one_where_the_state_cannot_remember_its_key(
    agent: Agent, entry: SshStorage, caplog: pytest.LogCaptureFixture
) -> None:
    refuse_writes(agent)
    shows = replace(entry, storage_name=f"shows {KEY}")
    agent.store.storages.delete(entry.storage_id)
    added = agent.store.storages.add(replace(shows, storage_id=0))
    helper = QueryHelper(WORKER, seen=partial(pin_host_key, agent.store))
    try:
        assert helper.list_host_names(StorageAccess(added, agent.store.ssh_ids.list()[0]))
    finally:
        helper.stop()
    assert "its host key is not remembered: " in caplog.text


def test_many_first_contacts_at_once_remember_one_key(agent: Agent, entry: SshStorage) -> None:
    start, results = threading.Barrier(8), []

    def contact(number: int) -> None:
        start.wait()
        try:
            results.append(pin_host_key(agent.store, entry, f"ssh-ed25519 {number}"))
        except InvalidStorageError:
            results.append("refused")

    threads = [threading.Thread(target=contact, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results.count("refused") == 7


def test_an_entry_that_was_edited_or_deleted_meanwhile_is_left_alone(agent: Agent, entry: SshStorage) -> None:
    agent.store.storages.update(replace(entry, server_name="other.example"))
    assert pin_host_key(agent.store, entry, KEY) == known(agent.store, entry) == ""
    agent.store.storages.delete(entry.storage_id)
    assert pin_host_key(agent.store, entry, KEY) == ""


def test_what_is_known_or_has_no_key_is_not_pinned(agent: Agent, entry: SshStorage) -> None:
    assert pin_host_key(agent.store, replace(entry, host_key=OTHER), KEY) == ""
    assert pin_host_key(agent.store, entry, "") == ""
    assert pin_host_key(agent.store, S3Storage("s", "i", Secret("s"), "b", 8), KEY) == ""
    assert known(agent.store, entry) == ""


def test_a_key_crosses_the_border_as_it_is() -> None:
    assert load_message(dump_message(HostKeySeen(KEY))) == HostKeySeen(KEY)


def test_a_list_tells_the_key_it_was_shown_and_fails_where_that_is_refused() -> None:
    seen: list[str] = []

    def note(storage: object, host_key: str) -> None:
        del storage
        if seen:
            raise InvalidStorageError("another key")
        seen.append(host_key)

    helper = QueryHelper(WORKER, seen=note)
    storage = StorageAccess(S3Storage(f"shows {KEY}", "id", Secret("s3-secret-text"), "b", 32))
    try:
        assert helper.list_host_names(storage)
        assert seen == [KEY]
        with pytest.raises(InvalidStorageError, match="another key"):
            helper.list_host_names(storage)
    finally:
        helper.stop()


# -- real servers --------------------------------------------------------------------------------


@pytest.fixture
def real(agent: Agent, sshd_server: SshServer, tmp_path: Path) -> Iterator[StorageAccess]:
    (tmp_path / "base").mkdir()
    access = sshd_server.access(tmp_path / "base")
    assert access.ssh_id is not None
    ssh_id = agent.store.ssh_ids.add(replace(access.ssh_id, ssh_id_id=0))
    storage = replace(access.storage, host_key="", ssh_id_id=ssh_id.ssh_id_id, storage_name="real")
    yield StorageAccess(agent.store.storages.add(storage), ssh_id)


def test_a_list_on_a_real_server_remembers_its_key_and_refuses_another(
    agent: Agent, real: StorageAccess, sshd_server: SshServer, tmp_path: Path
) -> None:
    helper = QueryHelper(seen=lambda storage, key: pin_host_key(agent.store, storage, key))
    try:
        assert helper.list_host_names(real) == []
        pinned = agent.store.storages.get(real.storage.storage_id)
        assert isinstance(pinned, SshStorage)
        assert pinned.host_key == sshd_server.sshd.host_key
        other = replace(pinned, host_key=" ".join(make_ssh_id(tmp_path).public_key.split()[:2]))
        with pytest.raises(InvalidStorageError, match="has changed"):
            helper.list_host_names(StorageAccess(other, real.ssh_id))
    finally:
        helper.stop()


def plan(helper: QueryHelper, access: StorageAccess) -> None:
    options = RestoreOptions(1, "etc", datetime.now(UTC), "h", NO_SECRET, target_dir="/t")
    with pytest.raises(NoSuchEntityError):
        helper.plan_restore(RestoreOrder("h", access, options, ("/state",)))


def find(helper: QueryHelper, access: StorageAccess) -> None:
    order = BackupOrder("h", "0" * 16, "etc", "full", access, SourceSet(("/etc",)), NO_SECRET, "/s", "/c")
    assert helper.find_backup(order).result is None


@pytest.mark.parametrize("contact", [plan, find])
def test_plans_and_questions_about_lost_jobs_remember_the_key_as_well(
    agent: Agent,
    real: StorageAccess,
    sshd_server: SshServer,
    contact: Callable[[QueryHelper, StorageAccess], None],
) -> None:
    helper = QueryHelper(seen=partial(pin_host_key, agent.store))
    try:
        contact(helper, real)
    finally:
        helper.stop()
    pinned = agent.store.storages.get(real.storage.storage_id)
    assert isinstance(pinned, SshStorage)
    assert pinned.host_key == sshd_server.sshd.host_key


def test_who_opens_many_connections_meets_the_server_first(
    real: StorageAccess, sshd_server: SshServer
) -> None:
    known_access = acquainted(real)
    assert isinstance(known_access.storage, SshStorage)
    assert known_access.storage.host_key == sshd_server.sshd.host_key
    assert acquainted(known_access) is known_access
