# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real query process whose answers depend on the storage's name (no test by itself)."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from datetime import UTC, datetime

from papi_backup.jobs.query_worker import Answers, main
from papi_backup.jobs.questions import (
    CheckBackup,
    CheckStorage,
    FindBackup,
    ListBackups,
    ListHostNames,
    PlanRestore,
)
from papi_backup.model.catalog import CatalogEntry
from papi_backup.model.check import CheckedStep, StorageCheck
from papi_backup.model.errors import InvalidStorageError, StorageCredentialsError
from papi_backup.model.job import FoundBackup, JobResult, RestorePlanSummary
from papi_backup.model.storage import StorageAccess

DATE = datetime(2026, 3, 1, 12, tzinfo=UTC)


class ScriptedAnswers:
    host_key = ""

    def list_backups(self, question: ListBackups) -> list[CatalogEntry]:
        behave(question.access)
        name = question.host_name
        return [CatalogEntry(name, "etc", DATE, "full", True, "c", "b", "i", 7, f"{name}/etc/x")]

    def list_host_names(self, question: ListHostNames) -> list[str]:
        behave(question.access)
        self.host_key = question.access.storage.storage_name.partition("shows ")[2]
        return ["pid", str(os.getpid())]

    def check_storage(self, question: CheckStorage) -> StorageCheck:
        behave(question.access)
        print("a library that prints does no harm")
        return StorageCheck((CheckedStep("reach", 0.25, f"pid {os.getpid()}"),), "ssh-ed25519 AAAA")

    def check_backup(self, question: CheckBackup) -> StorageCheck:
        behave(question.order.access)
        return StorageCheck((CheckedStep("room", float(question.room)),))

    def find_backup(self, question: FindBackup) -> FoundBackup:
        behave(question.order.access)
        there = question.order.backup == "there"
        return FoundBackup(JobResult("it is there", "full", 4, 3, 2, 1) if there else None)

    def plan_restore(self, question: PlanRestore) -> RestorePlanSummary:
        self.host_key = question.order.access.storage.storage_name.partition("shows ")[2]
        behave(question.order.access)
        target = question.order.options.target_dir
        return RestorePlanSummary("h/etc/x", DATE, "inc", "i", 2, 3, 99, 1, 1, 1, 1, (target,), ())


def behave(access: StorageAccess) -> None:
    act = access.storage.storage_name
    if act == "hangs":
        time.sleep(60)
    elif act == "leaves a thread":
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        raise InvalidStorageError("write: no answer within 4 s")
    elif act == "crashes":
        os.kill(os.getpid(), signal.SIGKILL)
    elif act == "refuses":
        raise StorageCredentialsError("step login: the server refused the password s3-secret-text")
    elif act == "mistakes":
        raise KeyError("s3-secret-text")
    elif act == "long":
        raise StorageCredentialsError("x" * 300_000)


if __name__ == "__main__":
    answers: Answers = ScriptedAnswers()
    sys.exit(main(answers=answers))
