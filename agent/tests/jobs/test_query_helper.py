# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions to storages through real query processes: answers, errors, deadlines."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from supervised_agent import eventually

from papi_backup.jobs.query_helper import QueryHelper
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
    return StorageAccess(S3Storage(name, "id", Secret("s3-secret-text"), "bucket", 32))


def process_of(helper: QueryHelper) -> int:
    return int(helper.list_host_names(storage("good"))[1])


@pytest.fixture
def helper() -> Iterator[QueryHelper]:
    helper = QueryHelper(WORKER)
    yield helper
    helper.stop()


@pytest.fixture
def impatient() -> Iterator[QueryHelper]:
    helper = QueryHelper(WORKER, check_seconds=1.0, list_seconds=1.0)
    process_of(helper)
    yield helper
    helper.stop()


def test_every_question_has_its_answer(helper: QueryHelper) -> None:
    (entry,) = helper.list_backups(storage("good"), "host.example")
    assert (entry.host_name, entry.backup_name, entry.manifest_size) == ("host.example", "etc", 7)
    assert helper.check_storage(storage("good")) == StorageCheck(
        (CheckedStep("reach", 0.25),), "ssh-ed25519 AAAA"
    )
    options = RestoreOptions(1, "etc", datetime.now(UTC), "h", NO_SECRET, target_dir="/t/\udcff")
    plan = helper.plan_restore(RestoreOrder("h", storage("good"), options, "/state", plan_only=True))
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
    before = process_of(impatient)
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
    helper = QueryHelper(WORKER, processes=1, check_seconds=0.3, list_seconds=20)
    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(helper.list_host_names, storage("hangs"))
        eventually(lambda: helper.busy == 1, "the process is busy")
        with pytest.raises(TooManyRequestsError, match="'good' was not asked"):
            helper.check_storage(storage("good"))
        helper.stop()
        assert hanging.exception(timeout=5)


def test_a_process_that_left_after_idling_is_replaced_without_an_error() -> None:
    helper = QueryHelper((*WORKER, "--idle", "0.05"))
    first = process_of(helper)
    time.sleep(0.5)
    assert process_of(helper) != first
    helper.stop()


def test_the_secrets_of_a_question_are_not_on_the_command_line(helper: QueryHelper) -> None:
    assert b"s3-secret-text" not in Path(f"/proc/{process_of(helper)}/cmdline").read_bytes()
