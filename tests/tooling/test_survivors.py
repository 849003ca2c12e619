# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A process that outlives its run is found by what it inherited, and ended."""

from __future__ import annotations

import os
import secrets
import subprocess

from checks.survivors import end_survivors, find_survivors


def marker() -> str:
    return f"PAPI_SURVIVOR_TEST={secrets.token_hex(8)}"


def test_a_detached_process_is_found_by_the_variable_it_inherited_and_ended() -> None:
    own = marker()
    name, value = own.split("=")
    process = subprocess.Popen(["sleep", "60"], env={**os.environ, name: value}, start_new_session=True)
    try:
        found = end_survivors(own, grace=0.2)
        assert [(one.pid, one.command) for one in found] == [(process.pid, "sleep 60")]
        assert process.wait(10) != 0
    finally:
        process.kill()
        process.wait()


def test_a_process_that_ends_within_the_grace_period_is_no_survivor() -> None:
    own = marker()
    name, value = own.split("=")
    with subprocess.Popen(["sleep", "0.5"], env={**os.environ, name: value}):
        assert end_survivors(own, grace=10) == []


def test_processes_of_other_runs_are_left_alone() -> None:
    with subprocess.Popen(["sleep", "60"], env={**os.environ, "PAPI_SURVIVOR_TEST": "another"}) as process:
        assert end_survivors(marker(), grace=0) == []
        assert find_survivors("PAPI_SURVIVOR_TEST=another")
        assert process.poll() is None
        process.kill()
