# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the table of mounts tells, and sources in the kernel's own file systems."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from backing_host import Host

from papi_backup.engine.backup.mounts import Mounts
from papi_backup.engine.backup.sources import check_sources
from papi_backup.model.errors import InvalidParameterError

_MOUNTINFO = (
    b"22 28 0:21 / /proc rw,nosuid shared:12 - proc proc rw\n"
    b"23 28 8:1 / /home\\040dir rw shared:1 - ext4 /dev/sda1 rw\n"
    b"24 28 0:22 / /odd\\040one\xff rw - sysfs sysfs rw\n"
    b"25 28 0:23 / /run rw master:1 shared:2 - tmpfs tmpfs rw\n"
    b"26 28 0:24 / /net rw - autofs systemd-1 rw\n"
    b"27 28 0:25 / /odd\rname rw - tmpfs  rw\n"
    b"28 28 0:26 / /shared\x0b-\x0bproc\x0bx rw - ext4 /dev/sdb1 rw\n"
)


def test_the_table_tells_the_kernels_own_file_systems_from_others(tmp_path: Path) -> None:
    mountinfo = tmp_path / "mountinfo"
    mountinfo.write_bytes(_MOUNTINFO)
    mounts = Mounts.read(str(mountinfo))
    assert mounts.kernels_own == {b"proc", b"odd one\xff", b"net"}
    assert mounts.points == mounts.kernels_own | {
        *(b"home dir", b"run", b"odd\rname", b"shared\x0b-\x0bproc\x0bx")
    }
    assert mounts.devices == {os.makedev(0, 21): "proc", os.makedev(0, 22): "sysfs"}


def test_without_a_table_nothing_is_known(tmp_path: Path) -> None:
    assert Mounts.read(str(tmp_path / "missing")) == Mounts()


@pytest.mark.parametrize("path", ["/proc/sys/kernel", "/proc/self/mountinfo", "/sys/kernel"])
def test_a_source_in_a_file_system_of_the_kernel_is_refused_by_name(host: Host, path: str) -> None:
    host.paths = (os.fspath(host.tree), path)
    for refuses in (host.back_up, lambda: check_sources("etc", host.paths)):
        with pytest.raises(InvalidParameterError, match=f"{path}.*of the kernel itself") as refusal:
            refuses()
        assert refusal.value.parameter == "paths"
    assert host.object_names() == set()


def test_a_link_to_the_kernels_file_system_hides_nothing(host: Host, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/proc/sys")
    host.paths = (os.fspath(tmp_path / "link" / "kernel"),)
    with pytest.raises(InvalidParameterError, match="of the kernel itself"):
        host.back_up()


def test_of_a_mount_point_that_is_a_source_its_name_is_kept_and_a_warning_given(host: Host) -> None:
    host.paths = (os.fspath(host.tree), "/proc")
    result = host.back_up()
    assert result.files == 0
    assert any("'/proc': is of the kernel's own file systems" in warning for warning in result.warnings)
