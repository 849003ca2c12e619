# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A restore that this host or the storage does not let finish: what it says, what it leaves."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from backing_host import ignore
from interposed import HangAtContent, InterposingOpener, die_at_content
from restoring import RestoringHost
from seen_trees import tree_on_disk

from papi_backup.engine.restore import run_restore
from papi_backup.engine.restore.tree import TEMPORARY_PREFIX
from papi_backup.model.errors import (
    InternalError,
    InvalidParameterError,
    PapiError,
    StorageCredentialsError,
    TransferError,
)
from papi_backup.model.job import JobResult, RestoreOrder

LARGE = 40 << 20
Mount = Callable[..., Path]


def command(name: str, *arguments: object) -> None:
    """Run a command of the system."""
    program = shutil.which(name)
    assert program, f"{name} is not installed"
    subprocess.run([program, *map(str, arguments)], check=True)


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Mounts a file system of a kind; unmounts it afterwards."""
    mounted: list[Path] = []

    def mount(kind: str, *options: str) -> Path:
        place = tmp_path / f"mount-{kind}"
        place.mkdir()
        command("mount", "-t", kind, *options, "none", place)
        mounted.append(place)
        return place

    yield mount
    for place in mounted:
        command("umount", place)


def temporary_files(place: Path) -> list[Path]:
    return [path for path in place.rglob("*") if path.name.startswith(os.fsdecode(TEMPORARY_PREFIX))]


@pytest.mark.root
def test_far_too_little_space_is_refused_before_anything_is_written(
    host: RestoringHost, mount: Mount
) -> None:
    (host.tree / "file").write_bytes(os.urandom(5 << 20))
    host.back_up()
    place = mount("tmpfs", "-o", "size=1m")
    with pytest.raises(InvalidParameterError, match=r"hold 5,242,880 bytes .* has 1,\d+,\d+ free") as caught:
        host.restore(host.order(place))
    assert caught.value.parameter == "target_dir"
    assert list(place.iterdir()) == []


@pytest.mark.root
def test_holes_and_hard_links_need_no_space(host: RestoringHost, mount: Mount) -> None:
    with (host.tree / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    (host.tree / "file").write_bytes(os.urandom(600_000))
    for number in range(20):
        os.link(host.tree / "file", host.tree / str(number))
    host.back_up()
    place = mount("tmpfs", "-o", "size=2m")
    host.restore(host.order(place))
    assert (host.restored(place) / "19").stat().st_size == 600_000


@pytest.mark.root
@pytest.mark.slow
@pytest.mark.parametrize("helpers", [1, 2])
def test_a_disk_that_fills_up_is_named_and_keeps_what_it_had(
    host: RestoringHost, mount: Mount, helpers: int
) -> None:
    for number in range(60):
        (host.tree / f"{number:02}").write_bytes(os.urandom(1 << 20))
    host.back_up()
    place = mount("tmpfs", "-o", "size=20m")
    (place / "mine").write_bytes(b"mine")
    host.helpers = helpers
    with pytest.raises(TransferError, match=r"No space left on device \(ENOSPC\)") as caught:
        host.restore(host.order(place))
    assert str(host.restored(place)) in caught.value.message
    assert f"{60 << 20:,} bytes" in caught.value.message
    assert (place / "mine").read_bytes() == b"mine"
    assert temporary_files(place) == []
    for path in host.restored(place).iterdir():
        assert path.read_bytes() == (host.tree / path.name).read_bytes()


@pytest.mark.root
def test_a_read_only_target_is_refused(host: RestoringHost, mount: Mount) -> None:
    (host.tree / "file").write_bytes(b"")
    host.back_up()
    place = mount("tmpfs", "-o", "ro")
    with pytest.raises(InvalidParameterError, match=r"Read-only file system \(EROFS\)") as caught:
        host.restore(host.order(place))
    assert str(place) in caught.value.message


@pytest.mark.root
def test_a_file_system_without_attributes_costs_warnings_only(host: RestoringHost, mount: Mount) -> None:
    for name in ("first", "second"):
        (host.tree / name).write_bytes(b"content")
        os.setxattr(host.tree / name, "user.kept", b"value")
    host.back_up()
    place = mount("ramfs")
    result = host.restore(host.order(place))
    assert len(result.warnings) == 1
    assert "attribute user.kept not set (Operation not supported): 2 entries" in result.warnings[0]
    assert (host.restored(place) / "first").read_bytes() == b"content"
    # What can never be set right is nothing to do again.
    assert host.plan(host.order(place)).repairs == 0
    assert host.restore(host.order(place)).entries_changed == 0


def _in_child(pipe: Any, order: RestoreOrder, opener: Any, uid: int) -> None:
    if uid:
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
    try:
        pipe.send(run_restore(order, opener, ignore))
    except PapiError as error:
        pipe.send(error)


def start_child(order: RestoreOrder, opener: Any, uid: int = 0) -> tuple[Any, Any]:
    """Start a restore in a process of its own; return the process and its pipe."""
    context = get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=_in_child, args=(theirs, order, opener, uid))
    process.start()
    theirs.close()
    return process, ours


def start_hanging(host: RestoringHost, out: Path) -> Any:
    """Start a restore that hangs with a file on its way, not the one with which it tries its target."""
    hang = HangAtContent(host.base / "hangs")
    process, _pipe = start_child(host.order(out), InterposingOpener(host.base / "store", hang))
    deadline = time.monotonic() + 60
    while not (hang.told.exists() and temporary_files(out)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return process


@pytest.mark.slow
@pytest.mark.parametrize("helpers", [1, 2])
def test_a_killed_restore_leaves_nothing_once_it_is_run_again(
    host: RestoringHost, out: Path, helpers: int
) -> None:
    (host.tree / "directory").mkdir()
    for name in ("1", "2", "directory/3"):
        (host.tree / name).write_bytes(os.urandom(LARGE))
    host.back_up()
    host.helpers = helpers
    opener = InterposingOpener(host.base / "store", die_at_content, helpers_only=False)
    process, pipe = start_child(host.order(out), opener)
    process.join(60)
    if helpers > 1:
        assert isinstance(pipe.recv(), InternalError)
    else:
        assert process.exitcode == -signal.SIGKILL
    assert temporary_files(out) != []
    host.restore(host.order(out))
    assert host.seen(out) == host.seen()


@pytest.mark.slow
@pytest.mark.parametrize("helpers", [1, 2])
def test_a_restore_that_is_terminated_removes_its_temporary_files(
    host: RestoringHost, out: Path, helpers: int
) -> None:
    for name in ("1", "2"):
        (host.tree / name).write_bytes(os.urandom(LARGE))
    host.back_up()
    host.helpers = helpers
    process = start_hanging(host, out)
    assert temporary_files(out) != []
    process.terminate()
    deadline = time.monotonic() + 15
    while temporary_files(out) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert temporary_files(out) == []
    process.kill()
    process.join()


def test_a_termination_in_the_moment_in_which_a_file_is_made_leaves_nothing(
    host: RestoringHost, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No signal can be timed so well; the lock is what follows the making."""

    def terminated(descriptor: int, operation: int) -> None:
        del descriptor, operation
        assert temporary_files(out) != []
        raise SystemExit(143)

    (host.tree / "file").write_text("content")
    host.back_up()
    monkeypatch.setattr("papi_backup.engine.restore.files.fcntl.flock", terminated)
    with pytest.raises(SystemExit):
        host.restore(host.order(out))
    assert temporary_files(out) == []


@pytest.mark.slow
def test_a_file_that_another_restore_is_writing_is_no_leftover(host: RestoringHost, out: Path) -> None:
    for name in ("1", "2"):
        (host.tree / name).write_bytes(os.urandom(LARGE))
    host.back_up()
    process = start_hanging(host, out)
    host.restore(host.order(out))
    assert len(temporary_files(out)) == 1
    process.kill()
    process.join()


def refuse_content(name: str, reads: int) -> None:
    """Have the storage refuse the credentials in the middle."""
    if "/d/" in name:
        raise StorageCredentialsError("no more")


@pytest.mark.parametrize("helpers", [1, 2])
def test_an_error_of_the_storage_ends_the_job_with_its_own_code(
    host: RestoringHost, out: Path, helpers: int
) -> None:
    (host.tree / "file").write_bytes(os.urandom(LARGE))
    host.back_up()
    host.helpers = helpers
    opener = InterposingOpener(host.base / "store", refuse_content, helpers_only=helpers > 1)
    with pytest.raises(StorageCredentialsError):
        run_restore(host.order(out), opener, ignore)
    assert temporary_files(out) == []


def fail_by_mistake(name: str, reads: int) -> None:
    """Be a fault of the program."""
    if "/d/" in name:
        raise ZeroDivisionError("planted")


def test_a_fault_of_the_program_in_a_helper_is_an_internal_error_and_its_trace_goes_to_the_log(
    host: RestoringHost, out: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    (host.tree / "file").write_bytes(os.urandom(LARGE))
    host.back_up()
    host.helpers = 2
    with pytest.raises(InternalError, match="ZeroDivisionError"):
        run_restore(host.order(out), InterposingOpener(host.base / "store", fail_by_mistake), ignore)
    assert "ZeroDivisionError: planted" in caplog.text
    assert "planted" not in capfd.readouterr().err


NOBODY = 65534


@pytest.mark.root
def test_without_root_owners_and_devices_are_warnings_and_all_else_comes_back() -> None:
    with tempfile.TemporaryDirectory(prefix="restore-") as base:
        place = Path(base)
        place.chmod(0o755)
        host = RestoringHost.below(place)
        (host.tree / "shut").mkdir()
        (host.tree / "shut" / "file").write_bytes(b"content")
        (host.tree / "shut").chmod(0o500)
        (host.tree / "setuid").write_bytes(b"content")
        (host.tree / "setuid").chmod(0o4755)
        (host.tree / "mine").write_bytes(b"content")
        os.chown(host.tree / "mine", NOBODY, NOBODY)
        (host.tree / "mine").chmod(0o4711)
        os.mknod(host.tree / "null", 0o20666, os.makedev(1, 3))
        os.link(host.tree / "null", host.tree / "null-again")
        host.back_up()
        command("chmod", "-R", "a+rX", host.base / "store")
        out = place / "out"
        out.mkdir()
        os.chown(out, NOBODY, NOBODY)
        for overwrite in ("changed", "always"):
            process, pipe = start_child(host.order(out, overwrite=overwrite), host.opener, NOBODY)
            result = pipe.recv()
            process.join()
            assert isinstance(result, JobResult), result
            assert any("owner not set (Operation not permitted)" in text for text in result.warnings)
            assert any("device" in text and "null" in text for text in result.warnings)
        seen = tree_on_disk(host.restored(out))
        assert seen[b"shut"].mode == 0o500
        assert seen[b"shut/file"].content == host.seen()[b"shut/file"].content
        assert seen[b"setuid"].mode == 0o755
        assert seen[b"mine"] == host.seen()[b"mine"]
        assert not {b"null", b"null-again"} & set(seen)


@pytest.mark.root
def test_without_root_a_second_restore_changes_nothing_though_it_opens_shut_directories() -> None:
    with tempfile.TemporaryDirectory(prefix="restore-") as base:
        place = Path(base)
        place.chmod(0o755)
        host = RestoringHost.below(place)
        (host.tree / "shut").mkdir()
        (host.tree / "shut" / "setuid").write_bytes(b"content")
        (host.tree / "shut" / "setuid").chmod(0o4755)
        (host.tree / "shut").chmod(0o555)
        host.back_up()
        command("chmod", "-R", "a+rX", host.base / "store")
        out = place / "out"
        out.mkdir()
        os.chown(out, NOBODY, NOBODY)
        changed = []
        for _number in range(2):
            process, pipe = start_child(host.order(out), host.opener, NOBODY)
            changed.append(pipe.recv().entries_changed)
            process.join()
        assert changed[0] > 0
        assert changed[1] == 0
        assert (host.restored(out) / "shut").stat().st_mode & 0o777 == 0o555


@pytest.mark.root
def test_entries_this_host_refuses_are_named_and_the_rest_is_restored(host: RestoringHost, out: Path) -> None:
    (host.tree / "shut").mkdir()
    (host.tree / "shut" / "file").write_bytes(b"saved")
    (host.tree / "open").write_bytes(b"saved")
    host.back_up()
    (host.restored(out) / "shut").mkdir(parents=True)
    command("chattr", "+i", host.restored(out) / "shut")
    try:
        with pytest.raises(TransferError, match=r"Operation not permitted \(EPERM\): .*shut/file"):
            host.restore(host.order(out))
    finally:
        command("chattr", "-i", host.restored(out) / "shut")
    assert (host.restored(out) / "open").read_bytes() == b"saved"


def test_names_that_are_no_text_are_told_as_text(host: RestoringHost, out: Path) -> None:
    odd = os.fsencode(host.tree) + b"/\xff\n"
    Path(os.fsdecode(odd)).write_bytes(b"saved")
    host.back_up()
    Path(os.fsdecode(os.fsencode(host.restored(out)) + b"/\xff\n/x")).mkdir(parents=True)
    with pytest.raises(TransferError) as caught:
        host.restore(host.order(out))
    assert caught.value.message.isprintable()
    assert caught.value.message.encode()
