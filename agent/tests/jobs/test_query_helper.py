# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions to storages through real query processes: answers, errors, deadlines."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from supervised_agent import eventually

from papi_backup.jobs.query_helper import QueryHelper
from papi_backup.jobs.query_process import QueryProcess
from papi_backup.model.check import CheckedStep, StorageCheck
from papi_backup.model.errors import (
    InternalError,
    InvalidStorageError,
    PapiError,
    StorageCredentialsError,
    TooManyRequestsError,
)
from papi_backup.model.job import RestoreOptions, RestoreOrder
from papi_backup.model.secret import NO_SECRET, Secret
from papi_backup.model.storage import S3Storage, StorageAccess

WORKER = (sys.executable, str(Path(__file__).with_name("scripted_query_worker.py")))


def storage(name: str) -> StorageAccess:
    """Each on a server of its own."""
    return StorageAccess(S3Storage(name, "id", Secret("s3-secret-text"), name, 32))


def process_of(helper: QueryHelper) -> int:
    return int(helper.list_host_names(storage("good"))[1])


def checker_of(helper: QueryHelper) -> int:
    (step,) = helper.check_storage(storage("good")).steps
    return int(step.detail.removeprefix("pid "))


@pytest.fixture
def helper() -> Iterator[QueryHelper]:
    helper = QueryHelper(WORKER)
    yield helper
    helper.stop()


@pytest.fixture
def impatient() -> Iterator[QueryHelper]:
    helper = QueryHelper(WORKER, check_seconds=1.0, list_seconds=1.0)
    checker_of(helper)
    yield helper
    helper.stop()


def test_every_question_has_its_answer(helper: QueryHelper) -> None:
    (entry,) = helper.list_backups(storage("good"), "host.example")
    assert (entry.host_name, entry.backup_name, entry.manifest_size) == ("host.example", "etc", 7)
    checked = helper.check_storage(storage("good"))
    step = CheckedStep("reach", 0.25, f"pid {checker_of(helper)}")
    assert checked == StorageCheck((step,), "ssh-ed25519 AAAA")
    options = RestoreOptions(1, "etc", datetime.now(UTC), "h", NO_SECRET, target_dir="/t/\udcff")
    plan = helper.plan_restore(RestoreOrder("h", storage("good"), options, ("/state",)))
    assert (plan.sequence, plan.overwritten) == (2, ("/t/\udcff",))


def test_one_process_stays_warm_for_calls_that_do_not_overlap(helper: QueryHelper) -> None:
    assert process_of(helper) == process_of(helper)


FAILURES = [
    ("refuses", StorageCredentialsError, "step login: the server refused the password ********"),
    ("mistakes", InternalError, "KeyError: '********'"),
    ("crashes", InternalError, "the process that asks storages ended with status -9; see the log"),
    ("long", StorageCredentialsError, "x" * 300_000),
]


@pytest.mark.parametrize(("act", "kind", "message"), FAILURES, ids=[row[0] for row in FAILURES])
def test_an_error_crosses_the_border_with_its_code_and_without_secrets(
    helper: QueryHelper, act: str, kind: type[PapiError], message: str
) -> None:
    with pytest.raises(kind) as caught:
        helper.check_storage(storage(act))
    assert caught.value.message == message
    assert helper.check_storage(storage("good")).host_key


def test_a_storage_that_hangs_is_4001_in_time_and_its_process_is_replaced(impatient: QueryHelper) -> None:
    before = checker_of(impatient)
    started = time.monotonic()
    with pytest.raises(InvalidStorageError, match=r"^storage 'hangs' did not answer within 1 s$"):
        impatient.check_storage(storage("hangs"))
    assert 0.9 < time.monotonic() - started < 2.0
    assert not Path(f"/proc/{before}").exists()


def test_one_storage_that_hangs_does_not_keep_others_waiting(helper: QueryHelper) -> None:
    process_of(helper)
    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(helper.list_host_names, storage("hangs"))
        assert helper.check_storage(storage("good")).host_key
        assert not hanging.done()
        helper.stop()
        assert isinstance(hanging.exception(timeout=5), InternalError)


def test_a_call_that_finds_all_processes_busy_until_its_deadline_is_told_so() -> None:
    helper = QueryHelper(WORKER, processes=1, check_seconds=20, list_seconds=20)
    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(helper.check_storage, storage("hangs"))
        eventually(lambda: helper.busy == 1, "the process is busy")
        with pytest.raises(TooManyRequestsError, match="'good' was not asked: other storages"):
            helper.check_storage(storage("good"), since=time.monotonic() - 19.7)
        helper.stop()
        assert hanging.exception(timeout=5)


def test_one_server_that_hangs_holds_one_process_however_often_it_is_asked() -> None:
    helper = QueryHelper(WORKER, list_seconds=20, patience=0.5)
    with ThreadPoolExecutor(12) as pool:
        hanging = [pool.submit(helper.list_host_names, storage("hangs")) for unused in range(12)]
        eventually(lambda: helper.busy == 1, "the server is asked")
        started = time.monotonic()
        assert helper.list_host_names(storage("good"))
        eventually(lambda: sum(asked.done() for asked in hanging) == 11, "all but one are told")
        assert time.monotonic() - started < 5
        told = [str(asked.exception()) for asked in hanging if asked.done()]
        assert {type(asked.exception()) for asked in hanging if asked.done()} == {TooManyRequestsError}
        assert set(told) == {
            "storage 'hangs' was not asked: its server has not answered the question before; ask again later"
        }
        helper.stop()


def test_who_asks_a_server_at_the_same_time_gets_an_answer_in_turn(helper: QueryHelper) -> None:
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(process_of, helper) for unused in range(8)]
        assert len({answered.result(timeout=20) for answered in asked}) == 1


def test_lists_that_hang_leave_the_processes_of_tests_alone(helper: QueryHelper) -> None:
    hung = ["one", "another", "a third"]
    with ThreadPoolExecutor(len(hung)) as pool:
        for name in hung:
            access = storage(name)
            access = replace(access, storage=replace(access.storage, storage_name="hangs"))
            pool.submit(helper.list_host_names, access)
        eventually(lambda: helper.busy == 2, "no process for lists is free")
        started = time.monotonic()
        assert helper.check_storage(storage("good")).host_key
        assert time.monotonic() - started < 5
        helper.stop()


def test_the_time_that_a_test_waited_before_it_was_asked_counts(impatient: QueryHelper) -> None:
    started = time.monotonic()
    with pytest.raises(InvalidStorageError):
        impatient.check_storage(storage("hangs"), since=started - 0.7)
    assert time.monotonic() - started < 0.9


def test_a_process_whose_answer_left_a_thread_behind_answers_no_other_question(helper: QueryHelper) -> None:
    before = checker_of(helper)
    with pytest.raises(InvalidStorageError, match=r"^write: no answer within 4 s$"):
        helper.check_storage(storage("leaves a thread"))
    assert not Path(f"/proc/{before}").exists()
    assert checker_of(helper) != before


def test_a_killed_process_that_does_not_end_is_abandoned_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    process = QueryProcess(WORKER)
    # Nobody can make a process that the kernel holds in a call; one that no signal reaches is as deaf.
    monkeypatch.setattr(process, "kill", lambda: None)
    ending = threading.Thread(target=process.close, daemon=True)
    ending.start()
    ending.join(5)
    assert not ending.is_alive()
    os.kill(process.pid, signal.SIGKILL)


def test_a_process_that_left_after_idling_is_replaced_without_an_error() -> None:
    helper = QueryHelper((*WORKER, "--idle", "0.05"))
    first = process_of(helper)
    time.sleep(0.5)
    assert process_of(helper) != first
    helper.stop()


def test_the_secrets_of_a_question_are_not_on_the_command_line(helper: QueryHelper) -> None:
    assert b"s3-secret-text" not in Path(f"/proc/{process_of(helper)}/cmdline").read_bytes()
