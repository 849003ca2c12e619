# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pytest plugin: leaves out the tests whose real server is not on this machine, and says which.

The tests themselves skip nothing.  On a machine without root, where sshd cannot be installed, everything
else still runs; the runner prints what was left out, and counts it as failed where CI is set.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

NOTES_VARIABLE = "PAPI_TEST_MISSING"
_SSH_WORDS = ("ssh", "sftp")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect what wants an sshd where there is none."""
    search = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin"
    if shutil.which("sshd", path=search) and shutil.which("ssh-keygen"):
        return
    left_out = [item for item in items if _wants_sshd(item)]
    if left_out:
        items[:] = [item for item in items if item not in set(left_out)]
        config.hook.pytest_deselected(items=left_out)
        _note(f"{len(left_out)} tests over SSH, because sshd is missing (apt-get install openssh-server)")


def _wants_sshd(item: pytest.Item) -> bool:
    fixtures = getattr(item, "fixturenames", ())
    if any("sshd" in name or name.endswith("ssh_access") for name in fixtures):
        return True
    callspec = getattr(item, "callspec", None)
    values = callspec.params.values() if callspec else ()
    return any(isinstance(value, str) and value.startswith(_SSH_WORDS) for value in values)


def _note(line: str) -> None:
    path = os.environ.get(NOTES_VARIABLE)
    if path:
        with open(path, "a") as notes:
            fcntl.flock(notes, fcntl.LOCK_EX)
            notes.write(f"{line}\n")
