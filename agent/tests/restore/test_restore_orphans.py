# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A restore whose job is killed: its processes end with it, and write nothing beside the next one."""

from __future__ import annotations

import os
import time
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from backing_host import ignore
from interposed import BeforeRead, InterposingOpener
from restoring import RestoringHost

from papi_backup.engine.restore import run_restore
from papi_backup.model.job import RestoreOrder


def _restore(order: RestoreOrder, store: Path, hang: BeforeRead, held: Connection) -> None:
    """Be a job whose processes hang in their first read; ``held`` is open as long as one of them is."""
    run_restore(order, InterposingOpener(store, hang, helpers_only=True), ignore)
    held.close()


def test_processes_that_are_busy_die_with_a_job_that_was_killed(host: RestoringHost, out: Path) -> None:
    with (host.tree / "large").open("wb") as file:
        file.truncate(40 << 20)
    host.back_up()
    host.helpers = 2

    def hang(name: str, reads: int) -> None:
        os.write(hanging, b".")
        time.sleep(600)

    seen, hanging = os.pipe()
    fork = get_context("fork")
    ours, theirs = fork.Pipe()
    job = fork.Process(target=_restore, args=(host.order(out), host.base / "store", hang, theirs))
    job.start()
    theirs.close()  # now only the job and its processes hold that end
    assert os.read(seen, 1) == b"."
    job.kill()
    job.join()
    assert ours.poll(30), "a process of the restore has outlived its job"
    with pytest.raises(EOFError):
        ours.recv()
    os.close(seen)
    os.close(hanging)
