# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""SIGTERM in the middle of a backup: nothing of it stays on the storage."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from backing_host import Host

from papi_backup.engine.storage.directory import DirectoryStorage
from papi_backup.engine.storage.protocol import ObjectInfo, ObjectWriter
from papi_backup.engine.termination import orderly_termination, refuse_termination, termination_deferred
from papi_backup.model.errors import TransferError

MEBIBYTE = 1 << 20


class Slow(DirectoryStorage):
    def create(self, name: str, size_hint: int = 0) -> ObjectWriter:
        time.sleep(0.3)
        return super().create(name, size_hint)


Moment = Literal[
    "at the last look at the volumes", "before the manifest's commit", "after it", "at the close"
]
EARLY: Moment = "at the last look at the volumes"
MOMENTS: tuple[Moment, ...] = (EARLY, "before the manifest's commit", "after it", "at the close")


def terminate_oneself() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


@dataclass(frozen=True)
class TerminatingWriter:
    inner: ObjectWriter
    moment: Moment

    def write(self, data: bytes) -> None:
        self.inner.write(data)

    def commit(self) -> None:
        if self.moment == "before the manifest's commit":
            terminate_oneself()
        self.inner.commit()
        if self.moment == "after it":
            terminate_oneself()

    def abort(self) -> None:
        self.inner.abort()


class Terminating(DirectoryStorage):
    """Its user gets SIGTERM at one moment around the commit of a backup."""

    def __init__(self, root: Path, moment: Moment) -> None:
        super().__init__(root)
        self.moment = moment

    def create(self, name: str, size_hint: int = 0) -> ObjectWriter:
        writer = super().create(name, size_hint)
        return TerminatingWriter(writer, self.moment) if name.startswith("catalog/") else writer

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        found = list(super().list(prefix))
        if self.moment == EARLY and prefix.startswith("data/") and found:
            self.moment = "after it"  # once: the volumes are listed to be deleted too
            terminate_oneself()
        return iter(found)

    def close(self) -> None:
        if self.moment == "at the close":
            terminate_oneself()
        super().close()


class Refusing(DirectoryStorage):
    """Commits no volume, and has its user terminated while the volumes are taken back."""

    def create(self, name: str, size_hint: int = 0) -> ObjectWriter:
        if any(self.list("data/")):
            raise TransferError("the storage is full")
        return super().create(name, size_hint)

    def delete(self, names: Sequence[str]) -> None:
        terminate_oneself()
        super().delete(names)


def files_in(directory: Path) -> list[str]:
    return [str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()]


def start_backup(host: Host) -> int:
    """Back up in a process of its own, as a worker would."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        with orderly_termination():
            host.back_up("full")
        status = 0
    except SystemExit as ended:
        status = int(ended.code or 0)
    finally:
        sys.stderr.flush()
        os._exit(status)


@pytest.mark.parametrize("helpers", [0, 2])
def test_a_backup_that_is_terminated_takes_its_volumes_and_unfinished_files_back(
    tmp_path: Path, helpers: int
) -> None:
    place = tmp_path / "storage"
    for name in ("storage", "tree", "state"):
        (tmp_path / name).mkdir()
    for number in range(16):
        (tmp_path / "tree" / str(number)).write_bytes(random.Random(number).randbytes(2 * MEBIBYTE))
    pid = start_backup(Host(tmp_path, lambda: Slow(place), helpers=helpers))
    deadline = time.monotonic() + 30
    while not any(name.startswith("data/") for name in files_in(place)):
        assert time.monotonic() < deadline, "no volume was written"
        time.sleep(0.01)
    os.kill(pid, signal.SIGTERM)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 128 + signal.SIGTERM
    assert files_in(place) == []


def host_of(base: Path, opener: Callable[[], DirectoryStorage], size: int = 300_000) -> Host:
    for name in ("storage", "tree", "state"):
        (base / name).mkdir()
    (base / "tree" / "file").write_bytes(random.Random(1).randbytes(size))
    return Host(base, opener, "key")


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_backup_that_is_terminated_is_either_taken_back_or_whole_and_told(
    tmp_path: Path, moment: Moment
) -> None:
    place = tmp_path / "storage"
    host = host_of(tmp_path, lambda: Terminating(place, moment))
    status = os.waitstatus_to_exitcode(os.waitpid(start_backup(host), 0)[1])
    manifests = [name for name in files_in(place) if name.startswith("catalog/")]
    if moment == EARLY:
        assert (status, files_in(place)) == (128 + signal.SIGTERM, [])
    else:
        assert (status, len(manifests)) == (0, 1)


def test_a_failed_backup_that_is_terminated_while_it_is_taken_back_leaves_nothing(tmp_path: Path) -> None:
    place = tmp_path / "storage"
    host = host_of(tmp_path, lambda: Refusing(place), 3 * MEBIBYTE)
    status = os.waitstatus_to_exitcode(os.waitpid(start_backup(host), 0)[1])
    assert (status, files_in(place)) == (128 + signal.SIGTERM, [])


def test_termination_is_refused_only_to_the_end_of_what_would_unwind() -> None:
    before = signal.getsignal(signal.SIGTERM)
    refuse_termination()
    assert signal.getsignal(signal.SIGTERM) is before
    with orderly_termination():
        refuse_termination()
        terminate_oneself()
    assert signal.getsignal(signal.SIGTERM) is before


def test_deferred_termination_unwinds_after_what_was_to_be_done() -> None:
    done = []
    with orderly_termination(), pytest.raises(SystemExit, match="143"), termination_deferred():
        terminate_oneself()
        done.append(True)
    assert done


class Ending:
    """Gets SIGTERM while the interpreter finalizes it, which drops whatever is raised there."""

    def __del__(self) -> None:
        terminate_oneself()
        time.sleep(0)


def terminate_in_a_callback() -> None:
    def called(gone: weakref.ref[Moved]) -> None:
        del gone
        terminate_oneself()
        time.sleep(0)

    moved = Moved()
    reference = weakref.ref(moved, called)
    del moved
    assert reference() is None


class Moved:
    """Something that can be referred to weakly."""


@pytest.mark.parametrize("terminate", [Ending, terminate_in_a_callback])
def test_termination_that_the_interpreter_drops_comes_again(terminate: Callable[[], object]) -> None:
    goes_on = False
    before = sys.unraisablehook
    with orderly_termination(), pytest.raises(SystemExit, match="143"):
        terminate()
        goes_on = True
        time.sleep(10)
    assert goes_on
    assert sys.unraisablehook is before


def test_termination_that_was_dropped_does_not_come_after_what_it_was_to_end() -> None:
    arrived: list[int] = []
    with orderly_termination():
        Ending()
        refuse_termination()
    before = signal.signal(signal.SIGTERM, lambda number, _frame: arrived.append(number))
    time.sleep(0.1)
    signal.signal(signal.SIGTERM, before)
    assert arrived == []


def test_termination_that_was_dropped_respects_what_is_to_be_done_first() -> None:
    done = False
    with orderly_termination(), pytest.raises(SystemExit, match="143"):
        Ending()
        with termination_deferred():
            time.sleep(0.1)
            done = True
        time.sleep(10)
    assert done
