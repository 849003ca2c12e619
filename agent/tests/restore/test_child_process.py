# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes that a job forks end with it, however it ends."""

from __future__ import annotations

import os
import time
from multiprocessing import get_context
from multiprocessing.connection import Connection

import pytest

from papi_backup.engine.child_process import die_with_parent

LONG = 600
fork = get_context("fork")


def _child(parent_pid: int, alive: Connection) -> None:
    die_with_parent(parent_pid)
    alive.send("still here")
    time.sleep(LONG)


def _job(alive: Connection) -> None:
    fork.Process(target=_child, args=(os.getpid(), alive)).start()
    alive.close()
    time.sleep(LONG)


def test_a_child_dies_with_a_job_that_was_killed() -> None:
    ours, theirs = fork.Pipe()
    job = fork.Process(target=_job, args=(theirs,))
    job.start()
    theirs.close()
    assert ours.recv() == "still here"
    job.kill()
    job.join()
    assert ours.poll(30), "the child has outlived its job"
    with pytest.raises(EOFError):
        ours.recv()


def test_a_child_whose_job_was_gone_before_it_could_ask_ends_at_once() -> None:
    ours, theirs = fork.Pipe()
    child = fork.Process(target=_child, args=(os.getpid() + 1, theirs))
    child.start()
    theirs.close()
    child.join(30)
    assert child.exitcode == 1
    with pytest.raises(EOFError):
        ours.recv()
