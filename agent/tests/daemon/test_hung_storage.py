# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real agent one of whose storages accepts connections and never answers: the others do, in time."""

from __future__ import annotations

import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from agent_process import AgentProcess, eventually

BACKUP = "/papi/backup"
PROMISED = 5.0
"""Seconds for a test of a storage."""

LISTS = 12
Answered = tuple[dict[str, Any], float]


@pytest.fixture
def agent(daemon: AgentProcess) -> Iterator[AgentProcess]:
    """With two storages behind a server that says nothing, and one behind a port that refuses."""
    with (
        closing(socket.create_server(("127.0.0.1", 0), backlog=100)) as silent,
        closing(socket.socket()) as closed,
    ):
        closed.bind(("127.0.0.1", 0))
        daemon.start_and_wait()
        daemon.ask(f"{BACKUP}/ssh-id/new", "POST", key_name="k")
        for name, server in (("silent", silent), ("silent too", silent), ("closed", closed)):
            added = daemon.ask(
                f"{BACKUP}/storage/ssh/add",
                "POST",
                storage_name=name,
                server_name="127.0.0.1",
                ssh_port=str(server.getsockname()[1]),
                ssh_username="u",
                ssh_id_id="1",
                storage_base="/srv/backups",
            )
            assert added["success"] == 1, added
        yield daemon


def timed(ask: Callable[[], dict[str, Any]]) -> Answered:
    started = time.monotonic()
    answer = ask()
    return answer, time.monotonic() - started


def in_threads(count: int, ask: Callable[[], dict[str, Any]]) -> list[Answered]:
    """Have so many clients ask; what they are answered appears in the list that is returned at once."""
    answers: list[Answered] = []

    def one() -> None:
        try:
            answers.append(timed(ask))
        except (OSError, ValueError):
            return  # the agent was ended before it answered

    for _unused in range(count):
        threading.Thread(target=one, daemon=True).start()
    return answers


def test_lists_of_a_silent_storage_keep_no_other_call_waiting(agent: AgentProcess) -> None:
    lists = in_threads(LISTS, lambda: agent.ask(f"{BACKUP}/backup/list", storage_name="silent", hostname="h"))
    lists_too = in_threads(3, lambda: agent.ask(f"{BACKUP}/backup/list", storage_name="silent too"))
    eventually(agent.children, "the storage is asked")
    tested, seconds = timed(lambda: agent.ask(f"{BACKUP}/storage/test", storage_name="closed"))
    assert (tested["error_code"], seconds < PROMISED) == (4001, True), (tested, seconds)
    queued, seconds = timed(
        lambda: agent.ask(
            f"{BACKUP}/backup/restore",
            "POST",
            storage_name="closed",
            backup_name="etc",
            restore_date="2026-01-01 00:00:00",
        )
    )
    assert (queued["success"], seconds < 1.0) == (1, True), (queued, seconds)
    listed, seconds = timed(lambda: agent.ask(f"{BACKUP}/backup/list", storage_name="closed"))
    # For half of it other lists may wait, until they are told that theirs hangs.
    assert (listed["error_code"], seconds < 2 * PROMISED) == (4001, True), (listed, seconds)
    eventually(lambda: len(lists + lists_too) >= LISTS + 2, "all but one are told that it is busy")
    assert {answer["error_code"] for answer, unused in lists + lists_too} == {3014}


def test_tests_of_a_silent_storage_keep_no_other_test_waiting(agent: AgentProcess) -> None:
    hung = in_threads(LISTS, lambda: agent.ask(f"{BACKUP}/storage/test", storage_name="silent"))
    eventually(agent.children, "the storage is asked")
    tested, seconds = timed(lambda: agent.ask(f"{BACKUP}/storage/test", storage_name="closed"))
    assert (tested["error_code"], seconds < PROMISED) == (4001, True), (tested, seconds)
    eventually(lambda: len(hung) == LISTS, "all are told")
    assert max(seconds for unused, seconds in hung) < PROMISED + 1
    assert {answer["error_code"] for answer, unused in hung} <= {3014, 4001}


def test_the_agent_takes_as_many_descriptors_as_it_may_have(daemon: AgentProcess) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(1024, hard), hard))
    try:
        daemon.start_and_wait()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    (row,) = [
        line
        for line in Path(f"/proc/{daemon.pid}/limits").read_text().splitlines()
        if line.startswith("Max open files")
    ]
    assert row.split()[3:5] == [str(hard), str(hard)]
