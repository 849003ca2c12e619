# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restores from a real sshd and a real S3 server, by several processes with a connection each."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from restoring import RestoringHost
from rich_tree import grow_rich_tree

from papi_backup.engine.restore import run_restore
from papi_backup.engine.storage.opener import opener_for


@pytest.mark.root
@pytest.mark.slow
@pytest.mark.parametrize("access_name", ["ssh_access", "s3_access"])
def test_several_processes_restore_from_a_real_storage(
    host: RestoringHost, out: Path, access_name: str, request: pytest.FixtureRequest
) -> None:
    opener = opener_for(request.getfixturevalue(access_name))
    grow_rich_tree(host.tree)
    for number in range(2):
        (host.tree / f"large-{number}").write_bytes(os.urandom(33 << 20))
    host.backing.opener = opener
    host.backing.file_size = 8
    host.back_up()
    host.helpers = 2
    host.reports.clear()
    result = run_restore(host.order(out), opener, host.reports.append)
    assert host.seen(out) == host.seen()
    assert result.warnings == ()
    assert result.size_transferred > 66 << 20
