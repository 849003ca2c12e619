# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pytest plugin: leaves out the tests for which this machine or user is missing something, and says so.

The tests themselves skip nothing.  Without root, where sshd cannot be installed and owners cannot be
changed, everything else still runs; the runner prints what was left out, and counts it as failed where CI
is set.
"""

from __future__ import annotations

import fcntl
import inspect
import os
import shutil
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

NOTES_VARIABLE = "PAPI_TEST_MISSING"
_SSH_WORDS = ("ssh", "sftp")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect what wants an sshd where there is none, and what wants root without it."""
    search = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin"
    if not (shutil.which("sshd", path=search) and shutil.which("ssh-keygen", path=search)):
        reason = "over SSH, because sshd is missing (apt-get install openssh-server)"
        _leave_out(config, items, _wants_sshd, reason)
    if os.geteuid() != 0:
        _leave_out(config, items, _wants_root, "that change owners or make devices, without root")


def _leave_out(
    config: pytest.Config, items: list[pytest.Item], wants: Callable[[pytest.Item], bool], reason: str
) -> None:
    left_out = [item for item in items if wants(item)]
    if left_out:
        items[:] = [item for item in items if item not in set(left_out)]
        config.hook.pytest_deselected(items=left_out)
        _note(f"{len(left_out)} tests {reason}")


def _wants_root(item: pytest.Item) -> bool:
    return item.get_closest_marker("root") is not None


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
