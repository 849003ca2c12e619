# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories are found again also where inode numbers do not last, and compared everywhere else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from papi_backup.engine.backup.directories import Directory, OpenDirectories, ReplacedDirectoryError
from papi_backup.engine.inode_numbers import are_made_up

_MOUNTINFO = b"""\
22 28 0:21 / /proc rw,nosuid shared:12 - proc proc rw
23 28 8:1 / / rw shared:1 - ext4 /dev/sda1 rw
24 28 8:17 / /boot/efi rw - vfat /dev/sdb1 rw
25 28 0:61 / /srv/far rw shared:2 master:1 - fuse.sshfs far:/srv rw,user_id=0
26 28 0:62 / /media/stick rw - exfat /dev/sdc1 rw
27 28 0:63 / / rw - overlay overlay rw,lowerdir=/a
28 28 0:64 / /media/disk rw - fuseblk /dev/sdd1 rw
29 28 0:65 / /srv/nas rw - cifs //nas/a rw,vers=3.0,serverino
31 28 0:67 / /odd\x0bone rw - fuse.x  rw,user_id=0
30 28 0:66 / /srv/old rw - cifs //nas/b rw,vers=1.0,noserverino
"""


def numbered_anew(path: Path, device: int | None = None) -> Directory:
    """Return a directory as the walk met it, before it got the inode number that it has now."""
    status = path.stat()
    return Directory(
        os.fsencode(path).lstrip(b"/"), status.st_dev if device is None else device, status.st_ino + 1
    )


@pytest.mark.parametrize(
    ("device", "made_up"),
    [
        ((8, 1), False),
        ((8, 17), True),
        ((0, 61), True),
        ((0, 62), True),
        ((0, 63), False),
        ((0, 64), True),
        ((0, 65), False),
        ((0, 66), True),
        ((0, 67), True),
    ],
)
def test_the_type_of_the_file_system_tells_whether_numbers_last(
    tmp_path: Path, device: tuple[int, int], made_up: bool
) -> None:
    (tmp_path / "mountinfo").write_bytes(_MOUNTINFO)
    assert are_made_up(os.makedev(*device), tmp_path / "mountinfo") is made_up
    assert not are_made_up(os.makedev(9, 9), tmp_path / "mountinfo")
    assert not are_made_up(os.makedev(*device), tmp_path / "missing")


def test_a_directory_that_was_numbered_anew_is_found_again_where_numbers_do_not_last(tmp_path: Path) -> None:
    here = os.path.realpath(tmp_path)
    with OpenDirectories(lambda _device: True) as places:
        assert os.path.samestat(os.fstat(places.at(numbered_anew(Path(here)))), tmp_path.stat())


@pytest.mark.parametrize("made_up", [False, True], ids=["numbers last", "another device"])
def test_another_directory_is_refused_where_numbers_last_and_another_device_everywhere(
    tmp_path: Path, made_up: bool
) -> None:
    here = Path(os.path.realpath(tmp_path))
    place = numbered_anew(here, device=here.stat().st_dev + 1 if made_up else None)
    with OpenDirectories(lambda _device: made_up) as places, pytest.raises(ReplacedDirectoryError):
        places.at(place)
