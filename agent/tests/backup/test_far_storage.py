# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup and a restore over a long, thin line that stalls and is cut: they go on where they were."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest
from backing_host import Host
from realparts.line import Line, Stalls
from realparts.proxy import Proxy
from realparts.pytest_fixtures import SshServer
from seen_trees import tree_on_disk

from papi_backup.engine.storage.opener import opener_for
from papi_backup.engine.storage.sftp_writer import IN_FLIGHT
from papi_backup.model.storage import SshStorage, StorageAccess

MEBIBYTE = 1 << 20
FILES, EACH = 6, 4 * MEBIBYTE
HELPERS = 2


def through(access: StorageAccess, proxy: Proxy) -> StorageAccess:
    storage = access.storage
    assert isinstance(storage, SshStorage)
    return dataclasses.replace(access, storage=dataclasses.replace(storage, ssh_port=proxy.port))


@pytest.mark.slow
def test_a_line_that_is_cut_three_times_costs_what_was_in_the_air_and_no_more(
    tmp_path: Path, sshd_server: SshServer, ssh_access: StorageAccess
) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    for number in range(FILES):
        (tree / f"noise-{number}").write_bytes(os.urandom(EACH))
    size = FILES * EACH
    cuts = [size // 4, size // 2, size * 3 // 4]
    line = Line(25e6, Stalls(every=0.7, length=0.2))
    with Proxy(sshd_server.sshd.port, delay=0.025, line=line, cut_all_after=cuts) as proxy:
        access = through(ssh_access, proxy)
        host = Host(tmp_path, opener_for(access), key="a key", file_size=16, helpers=HELPERS, access=access)
        result = host.back_up("full")
        assert proxy.cuts == 3
        assert result.bytes_stored >= size
        assert proxy.sent < 1.05 * size + 3 * HELPERS * IN_FLIGHT, "nothing is sent from its beginning again"
        (tmp_path / "out").mkdir()
        host.restore(tmp_path / "out", host.clock)
        assert host.restored(tmp_path / "out") == tree_on_disk(tree)
