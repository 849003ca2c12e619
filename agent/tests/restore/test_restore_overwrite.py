# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a restore does where something is already: ``overwrite``, entry by entry."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from restoring import RestoringHost

from papi_backup.model.errors import InvalidParameterError, TransferError
from papi_backup.model.job import Overwrite

MTIME = 1_600_000_000_000_000_000
Prepare = Callable[[Path], None]


def same_bytes_other_metadata(path: Path) -> None:
    path.write_bytes(b"saved")
    path.chmod(0o600)


def same_size_and_time_other_bytes(path: Path) -> None:
    path.write_bytes(b"SAVED")
    path.chmod(0o644)
    os.utime(path, ns=(MTIME, MTIME))


def a_link_elsewhere(path: Path) -> None:
    (path.parent / "elsewhere").write_bytes(b"elsewhere")
    path.symlink_to("elsewhere")


def an_empty_directory(path: Path) -> None:
    path.mkdir()


def a_fifo(path: Path) -> None:
    os.mkfifo(path)


def another_name_of_a_file(path: Path) -> None:
    (path.parent / "other-name").write_bytes(b"saved")
    os.link(path.parent / "other-name", path)


@dataclass(frozen=True)
class Case:
    """What is there, under which policy, and whether it is then the saved file."""

    there: Prepare
    overwrite: Overwrite
    restored: bool
    rewritten: bool = True


CASES = [
    Case(same_bytes_other_metadata, "changed", restored=True, rewritten=False),
    Case(same_bytes_other_metadata, "always", restored=True),
    Case(same_bytes_other_metadata, "never", restored=False, rewritten=False),
    Case(same_size_and_time_other_bytes, "changed", restored=True),
    Case(same_size_and_time_other_bytes, "always", restored=True),
    Case(same_size_and_time_other_bytes, "never", restored=False, rewritten=False),
    Case(a_link_elsewhere, "changed", restored=True),
    Case(a_link_elsewhere, "always", restored=True),
    Case(a_link_elsewhere, "never", restored=False, rewritten=False),
    Case(an_empty_directory, "changed", restored=True),
    Case(an_empty_directory, "always", restored=True),
    Case(an_empty_directory, "never", restored=False, rewritten=False),
    Case(a_fifo, "changed", restored=True),
    Case(another_name_of_a_file, "changed", restored=True),
]


@pytest.fixture
def saved(host: RestoringHost, out: Path) -> RestoringHost:
    """A backup of one file, restored once and removed again."""
    (host.tree / "file").write_bytes(b"saved")
    (host.tree / "file").chmod(0o644)
    os.utime(host.tree / "file", ns=(MTIME, MTIME))
    host.back_up()
    host.restore(host.order(out))
    (host.restored(out) / "file").unlink()
    return host


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.there.__name__}-{case.overwrite}")
def test_a_file_meets_what_is_there(saved: RestoringHost, out: Path, case: Case) -> None:
    path = saved.restored(out) / "file"
    case.there(path)
    before = path.lstat()
    saved.restore(saved.order(out, overwrite=case.overwrite))
    after = path.lstat()
    assert (before.st_ino != after.st_ino) == case.rewritten
    is_saved = path.is_file() and path.read_bytes() == b"saved" and after.st_mode & 0o777 == 0o644
    assert (is_saved and after.st_mtime_ns == MTIME) == case.restored


def test_changing_metadata_never_reaches_another_name_of_the_file(saved: RestoringHost, out: Path) -> None:
    another_name_of_a_file(saved.restored(out) / "file")
    (saved.restored(out) / "other-name").chmod(0o600)
    saved.restore(saved.order(out))
    assert (saved.restored(out) / "other-name").stat().st_mode & 0o777 == 0o600


def test_what_a_link_led_to_is_untouched(saved: RestoringHost, out: Path) -> None:
    a_link_elsewhere(saved.restored(out) / "file")
    saved.restore(saved.order(out, overwrite="always"))
    assert (saved.restored(out) / "elsewhere").read_bytes() == b"elsewhere"


@pytest.mark.parametrize("overwrite", ["always", "changed", "never"])
def test_a_directory_that_is_not_empty_stays_and_is_named(
    saved: RestoringHost, out: Path, overwrite: Overwrite
) -> None:
    (saved.restored(out) / "file").mkdir()
    (saved.restored(out) / "file" / "mine").write_bytes(b"mine")
    if overwrite == "never":
        saved.restore(saved.order(out, overwrite=overwrite))
    else:
        with pytest.raises(TransferError, match=r"/file is a directory that is not empty"):
            saved.restore(saved.order(out, overwrite=overwrite))
    assert (saved.restored(out) / "file" / "mine").read_bytes() == b"mine"
    assert [path.name for path in saved.restored(out).iterdir()] == ["file"]


def test_fail_writes_nothing_when_anything_is_there(host: RestoringHost, out: Path) -> None:
    for name in ("first", "second", "third"):
        (host.tree / name).write_bytes(b"saved")
    host.back_up()
    host.restored(out).mkdir(parents=True)
    (host.restored(out) / "second").write_bytes(b"mine")
    with pytest.raises(InvalidParameterError, match="second") as caught:
        host.restore(host.order(out, overwrite="fail"))
    assert caught.value.code == 3005
    assert [path.name for path in host.restored(out).iterdir()] == ["second"]
    assert (host.restored(out) / "second").read_bytes() == b"mine"


def test_fail_restores_where_nothing_is(host: RestoringHost, out: Path) -> None:
    (host.tree / "file").write_bytes(b"saved")
    host.back_up()
    out.mkdir()
    (out / "unrelated").write_bytes(b"mine")
    host.restore(host.order(out, overwrite="fail"))
    assert host.seen(out) == host.seen()


@pytest.mark.parametrize("overwrite", ["always", "changed"])
def test_a_file_where_a_directory_belongs_is_replaced(
    host: RestoringHost, out: Path, overwrite: Overwrite
) -> None:
    (host.tree / "directory").mkdir()
    (host.tree / "directory" / "file").write_bytes(b"saved")
    host.back_up()
    host.restored(out).mkdir(parents=True)
    (host.restored(out) / "directory").write_bytes(b"in the way")
    host.restore(host.order(out, overwrite=overwrite))
    assert host.seen(out) == host.seen()


def test_never_keeps_a_file_where_a_directory_belongs_and_says_what_that_costs(
    host: RestoringHost, out: Path
) -> None:
    (host.tree / "directory").mkdir()
    (host.tree / "directory" / "file").write_bytes(b"saved")
    (host.tree / "other").write_bytes(b"saved")
    host.back_up()
    host.restored(out).mkdir(parents=True)
    (host.restored(out) / "directory").write_bytes(b"in the way")
    with pytest.raises(TransferError, match="directory is no directory and overwrite=never keeps it"):
        host.restore(host.order(out, overwrite="never"))
    assert (host.restored(out) / "directory").read_bytes() == b"in the way"
    assert (host.restored(out) / "other").read_bytes() == b"saved"


@pytest.mark.parametrize("overwrite", ["always", "changed"])
def test_an_older_date_over_a_newer_one_is_the_older_one(
    host: RestoringHost, out: Path, overwrite: Overwrite
) -> None:
    (host.tree / "was-file").write_bytes(b"file")
    (host.tree / "was-directory").mkdir()
    (host.tree / "was-link").symlink_to("was-directory")
    (host.tree / "linked").write_bytes(b"linked")
    os.link(host.tree / "linked", host.tree / "to-linked")
    old = host.back_up()
    before = host.seen()
    (host.tree / "was-file").unlink()
    (host.tree / "was-file").symlink_to("/etc")
    (host.tree / "was-directory").rmdir()
    (host.tree / "was-directory").write_bytes(b"now a file")
    (host.tree / "was-link").unlink()
    (host.tree / "was-link").mkdir()
    (host.tree / "to-linked").unlink()
    (host.tree / "to-linked").write_bytes(b"not linked")
    host.back_up("inc")
    host.restore(host.order(out))
    assert host.seen(out) == host.seen()
    host.restore(host.order(out, date=old, overwrite=overwrite))
    assert host.seen(out) == before


def test_a_second_restore_reads_no_content(host: RestoringHost, out: Path) -> None:
    for number in range(5):
        (host.tree / str(number)).write_bytes(os.urandom(2 << 20))
    host.back_up()
    first = host.restore(host.order(out))
    again = host.restore(host.order(out))
    assert first.size_transferred > 10 << 20
    assert again.size_transferred < 1 << 20
    assert "5 were there already" in again.description
