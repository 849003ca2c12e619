# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pytest plugin: leaves out the tests for which this machine or user is missing something, and says so.

The tests themselves skip nothing.  Without root, where sshd cannot be installed and owners cannot be
changed, everything else still runs; the runner prints what was left out, and counts it as failed where CI
is set.
"""

from __future__ import annotations

import fcntl
import importlib.util
import inspect
import os
import shutil
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

NOTES_VARIABLE = "PAPI_TEST_MISSING"
ROOT_TESTS = frozenset(
    {
        "test_a_disk_that_fills_up_is_named_and_keeps_what_it_had",
        "test_a_file_system_without_attributes_costs_warnings_only",
        "test_a_read_only_target_is_refused",
        "test_a_tree_with_one_of_everything_comes_back_identical",
        "test_entries_this_host_refuses_are_named_and_the_rest_is_restored",
        "test_every_date_of_a_random_history_is_restored_as_it_was",
        "test_far_too_little_space_is_refused_before_anything_is_written",
        "test_holes_and_hard_links_need_no_space",
        "test_no_altered_byte_ever_reaches_a_file",
        "test_several_processes_restore_the_same_as_one",
        "test_the_description_names_backup_host_instance_sequence_and_place",
        "test_the_engine_restores_it",
        "test_without_root_owners_and_devices_are_warnings_and_all_else_comes_back",
    }
)
"""Tests that mount, change owners, make devices or read what is forbidden; besides those marked ``root``."""

_SSH_WORDS = ("ssh", "sftp")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect what wants an sshd or a fuzzer where there is none, and what wants root without it."""
    search = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin"
    if not (shutil.which("sshd", path=search) and shutil.which("ssh-keygen", path=search)):
        reason = "over SSH, because sshd is missing (apt-get install openssh-server)"
        _leave_out(config, items, _wants_sshd, reason)
    if not shutil.which("zstd"):
        reason = "of the tar pipe, because zstd is missing (apt-get install zstd)"
        _leave_out(config, items, _wants_zstd, reason)
    if importlib.util.find_spec("atheris") is None:
        _leave_out(config, items, _wants_fuzzer, "that fuzz, because atheris has no wheel for this platform")
    if os.geteuid() != 0:
        _leave_out(config, items, _wants_root, "that mount, change owners or make devices, without root")


def _leave_out(
    config: pytest.Config, items: list[pytest.Item], wants: Callable[[pytest.Item], bool], reason: str
) -> None:
    left_out = [item for item in items if wants(item)]
    if left_out:
        items[:] = [item for item in items if item not in set(left_out)]
        config.hook.pytest_deselected(items=left_out)
        _note(f"{len(left_out)} tests {reason}")


def _wants_zstd(item: pytest.Item) -> bool:
    return "the_pipe_are_measured" in item.name


def _wants_fuzzer(item: pytest.Item) -> bool:
    return "atheris" in getattr(item, "fixturenames", ())


def _wants_root(item: pytest.Item) -> bool:
    function = getattr(item, "originalname", item.name)
    return item.get_closest_marker("root") is not None or function in ROOT_TESTS


def _wants_sshd(item: pytest.Item) -> bool:
    fixtures = getattr(item, "fixturenames", ())
    if any("sshd" in name or name.endswith("ssh_access") for name in fixtures):
        return True
    callspec = getattr(item, "callspec", None)
    values = callspec.params.values() if callspec else ()
    if any(isinstance(value, str) and value.startswith(_SSH_WORDS) for value in values):
        return True
    return hasattr(getattr(item, "module", None), "Sshd") or "sshd" in _source(item).lower()


def _source(item: pytest.Item) -> str:
    try:
        return inspect.getsource(getattr(item, "function", _source))
    except OSError:
        return ""


def _note(line: str) -> None:
    path = os.environ.get(NOTES_VARIABLE)
    if path:
        with open(path, "a") as notes:
            fcntl.flock(notes, fcntl.LOCK_EX)
            notes.write(f"{line}\n")
