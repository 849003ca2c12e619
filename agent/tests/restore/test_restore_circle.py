# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was backed up comes back bit by bit, with everything about it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from restoring import RestoringHost
from rich_tree import grow_rich_tree

LARGE = 33 << 20


@pytest.mark.root
def test_a_tree_with_one_of_everything_comes_back_identical(host: RestoringHost, out: Path) -> None:
    grow_rich_tree(host.tree)
    host.back_up()
    result = host.restore(host.order(out))
    assert host.seen(out) == host.seen()
    assert result.warnings == ()


@pytest.mark.root
@pytest.mark.slow
def test_several_processes_restore_the_same_as_one(host: RestoringHost, out: Path) -> None:
    grow_rich_tree(host.tree)
    for number in range(3):
        (host.tree / f"large-{number}").write_bytes(os.urandom(LARGE))
        os.link(host.tree / f"large-{number}", host.tree / "small" / f"large-{number}")
    for number in range(20):
        os.link(host.tree / "small" / f"{number:03}", host.tree / f"far-{number}")
    os.utime(host.tree / "small", ns=(0, 1))
    os.utime(host.tree, ns=(0, 2))
    host.back_up()
    host.helpers = 2
    result = host.restore(host.order(out))
    assert host.seen(out) == host.seen()
    assert result.warnings == ()
    assert host.reports[-1].files_done <= host.reports[-1].files_total
    assert host.reports[-1].bytes_done >= 3 * LARGE


def test_each_date_of_a_history_comes_back_as_it_was(host: RestoringHost, tmp_path: Path) -> None:
    (host.tree / "kept").write_bytes(os.urandom(100_000))
    (host.tree / "changed").write_bytes(b"one")
    (host.tree / "removed").write_bytes(b"here")
    dates, seen = [host.back_up()], [host.seen()]
    (host.tree / "changed").write_bytes(b"two")
    (host.tree / "removed").unlink()
    (host.tree / "removed").mkdir()
    dates.append(host.back_up("inc"))
    seen.append(host.seen())
    (host.tree / "added").symlink_to("kept")
    dates.append(host.back_up("inc"))
    seen.append(host.seen())
    for number, date in enumerate(dates):
        out = tmp_path / f"out-{number}"
        host.restore(host.order(out, date=date))
        assert host.seen(out) == seen[number]


def test_an_unencrypted_backup_comes_back_without_a_key(tmp_path: Path, out: Path) -> None:
    host = RestoringHost.below(tmp_path, key="")
    (host.tree / "file").write_bytes(b"in clear")
    host.back_up()
    host.restore(host.order(out))
    assert host.seen(out) == host.seen()


def test_an_empty_tree_comes_back(host: RestoringHost, out: Path) -> None:
    host.back_up()
    host.restore(host.order(out))
    assert host.seen(out) == host.seen()


def test_holes_stay_holes(host: RestoringHost, out: Path) -> None:
    with (host.tree / "sparse").open("wb") as file:
        file.truncate(1 << 40)
        file.seek(1 << 39)
        file.write(b"island")
    host.back_up()
    host.restore(host.order(out))
    assert (host.restored(out) / "sparse").stat().st_size == 1 << 40
    assert (host.restored(out) / "sparse").stat().st_blocks * 512 <= 1 << 20


@pytest.mark.parametrize("helpers", [1, 2])
def test_directories_above_what_was_backed_up_get_their_metadata_only_if_they_were_missing(
    host: RestoringHost, out: Path, helpers: int
) -> None:
    host.helpers = helpers
    host.tree.parent.chmod(0o711)
    (host.tree / "file").write_bytes(b"")
    host.back_up()
    host.restore(host.order(out))
    above = host.restored(out).parent
    assert above.stat().st_mode & 0o7777 == 0o711
    above.chmod(0o750)
    host.restore(host.order(out))
    assert above.stat().st_mode & 0o7777 == 0o750


def test_what_is_not_in_the_backup_stays(host: RestoringHost, out: Path) -> None:
    (host.tree / "file").write_bytes(b"")
    host.back_up()
    host.restore(host.order(out))
    (host.restored(out) / "mine").write_bytes(b"mine")
    host.restore(host.order(out, overwrite="always"))
    assert (host.restored(out) / "mine").read_bytes() == b"mine"
