# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup that fails is none: whatever breaks, wherever, nothing counts and nothing older is harmed."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from backing_host import Host
from memory_storage import MemoryStorage, MemoryWriter
from seen_trees import tree_on_disk

from papi_backup.engine.storage.directory import DirectoryStorage
from papi_backup.engine.storage.faults import Fault, FaultyStorage, Method
from papi_backup.engine.storage.protocol import ObjectInfo, Storage
from papi_backup.model.errors import (
    InternalError,
    InvalidStorageError,
    PapiError,
    StorageCredentialsError,
    TransferError,
)

ERROR = TransferError("the connection broke")


@pytest.fixture
def host(host: Host) -> Host:
    """A host with a full backup, and changes that an incremental would save."""
    (host.tree / "old").write_bytes(random.Random(1).randbytes(100_000))
    host.back_up("full")
    (host.tree / "new").write_bytes(random.Random(2).randbytes(3 << 20))
    return host


def broken(host: Host, *faults: Fault) -> FaultyStorage:
    return FaultyStorage(DirectoryStorage(host.base / "storage"), faults)


def assert_nothing_happened(host: Host, before: set[str]) -> None:
    """The storage is as it was, and the next backup is an incremental that has everything."""
    assert host.object_names() == before
    assert host.back_up("inc").backup_type == "inc"
    assert host.saved() == tree_on_disk(host.tree)


def calls_of_a_backup(host: Host) -> list[tuple[Method, str]]:
    """Return the storage calls of an incremental that succeeds, on a copy of the host."""
    storage = MemoryStorage({found.name: host.storage().get(found.name) for found in host.storage().list("")})
    watched = FaultyStorage(_Opened(storage))
    clock, high_water = host.clock, host.high_water
    host.back_up("inc", opener=lambda: watched)
    host.clock, host.high_water = clock, high_water
    return watched.calls


class _Opened(MemoryStorage):
    """A memory storage as what the fault-injecting one wraps."""

    host_key = ""

    def __init__(self, inner: MemoryStorage) -> None:
        super().__init__(inner.objects)

    def open(self, entering: object = None) -> None:
        """Nothing to connect to."""


def test_a_failure_of_any_single_call_of_the_storage_leaves_no_backup_and_no_leftovers(host: Host) -> None:
    """Before and after each call but those that end it: the manifest's own commit decides."""
    calls = calls_of_a_backup(host)
    before = host.object_names()
    tried = 0
    for method in ("list", "get", "create", "write", "commit"):
        names = [name for called, name in calls if called == method]
        for number, name in enumerate(names, 1):
            for after in (False, True):
                storage = broken(host, Fault(method, number, ERROR, after=after))
                if name.startswith("catalog/") and (method, after) != ("list", False):
                    continue  # the manifest itself: see below
                with pytest.raises(TransferError, match="the connection broke"):
                    host.back_up("inc", opener=lambda storage=storage: storage)
                left = host.object_names() - before
                assert left == set(), (method, number, after)
                tried += 1
    assert tried > 15
    assert_nothing_happened(host, before)


@pytest.mark.parametrize(("method", "after"), [("create", False), ("write", False), ("commit", False)])
def test_a_manifest_that_could_not_be_written_is_no_backup_and_its_volumes_stay_unread(
    host: Host, method: Method, after: bool
) -> None:
    """They are not deleted: where the reply was lost, the manifest may be there after all."""
    calls = [name for called, name in calls_of_a_backup(host) if called == method]
    number = next(place for place, name in enumerate(calls, 1) if name.startswith("catalog/"))
    backups = host.backups()
    storage = broken(host, Fault(method, number, ERROR, after=after))
    with pytest.raises(TransferError):
        host.back_up("inc", opener=lambda: storage)
    assert host.backups() == backups
    assert host.back_up("inc").backup_type == "inc"
    assert host.saved() == tree_on_disk(host.tree)


@pytest.mark.parametrize("keep", [0, 1])
def test_an_empty_or_short_listing_of_the_chain_makes_a_full_and_a_failing_one_an_error(
    host: Host, keep: int
) -> None:
    """A listing that lies can cost a full backup; it can never cost data."""
    storage = broken(host, Fault("list", 2, keep=keep))
    result = host.back_up("inc", opener=lambda: storage)
    assert result.backup_type == "full"
    assert "volumes of the chain are damaged" in result.description
    before = host.object_names()
    (host.tree / "new").write_bytes(b"without it nothing is written, and nothing listed after it")
    for number in (1, 2, 3):
        failing = broken(host, Fault("list", number, ERROR, keep=keep))
        with pytest.raises(TransferError, match="the connection broke"):
            host.back_up("inc", opener=lambda failing=failing: failing)
        assert host.object_names() == before


def test_a_volume_that_the_storage_lost_or_cut_is_noticed_before_the_manifest(host: Host) -> None:
    before = host.object_names()
    for keep in (0, 1):
        storage = broken(host, Fault("list", 3, keep=keep))
        with pytest.raises(TransferError, match="the storage lists nothing"):
            host.back_up("inc", opener=lambda storage=storage: storage)
    assert_nothing_happened(host, before)


class Racing(MemoryStorage):
    """Has somebody else write an object of the same name just before it is committed."""

    def create(self, name: str, size_hint: int = 0) -> MemoryWriter:
        writer = super().create(name, size_hint)
        if name.startswith("catalog/"):
            self.objects[name] = b"of somebody else"
        return writer


def test_a_manifest_of_the_same_name_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    storage = Racing()
    host = Host(tmp_path, storage)
    with pytest.raises(TransferError, match="exists already"):
        host.back_up("full")
    [manifest] = [data for name, data in storage.objects.items() if name.startswith("catalog/")]
    assert manifest == b"of somebody else"


class Meanwhile(MemoryStorage):
    """Runs something once, just before the first manifest is written."""

    def __init__(self, objects: dict[str, bytes], act: Callable[[], object]) -> None:
        super().__init__(objects)
        self._acts: Iterator[Callable[[], object]] = iter([act])

    def create(self, name: str, size_hint: int = 0) -> MemoryWriter:
        if name.startswith("catalog/"):
            next(self._acts, lambda: None)()
        return super().create(name, size_hint)


def test_two_writers_of_one_chain_at_the_same_moment_both_have_their_backup(tmp_path: Path) -> None:
    """One installation started twice: siblings of one parent, each whole, and a chain that goes on."""
    (tmp_path / "tree").mkdir()
    host = Host(tmp_path, MemoryStorage())
    objects = host.storage().objects
    (tmp_path / "tree/file").write_text("one")
    host.back_up("full")
    trees = [tree_on_disk(host.tree)]

    def other_writer() -> None:
        (host.tree / "file").write_text("by the second")
        host.back_up("inc")
        trees.append(tree_on_disk(host.tree))
        (host.tree / "file").write_text("three")

    (host.tree / "file").write_text("by the first")
    trees.append(tree_on_disk(host.tree))
    meanwhile = Meanwhile(objects, other_writer)
    host.back_up("inc", opener=meanwhile)
    assert host.back_up("inc").backup_type == "inc"
    trees.append(tree_on_disk(host.tree))
    assert len(host.backups()) == 4
    saved = [host.saved(entry) for entry in host.backups()]
    assert [tree for tree in saved if tree not in trees] == []
    assert len({tree[b"file"].content for tree in saved}) == 4


class Failing:
    """A storage whose writers fail in a way of their own, also in a helper process."""

    def __init__(self, inner: Storage, fail: Callable[[], object]) -> None:
        self._inner, self._fail = inner, fail

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        return self._inner.list(prefix)

    def list_children(self, prefix: str) -> Sequence[str]:
        return self._inner.list_children(prefix)

    def get(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        return self._inner.get(name, offset, length)

    def stat(self, name: str) -> ObjectInfo:
        return self._inner.stat(name)

    def create(self, name: str, size_hint: int = 0) -> object:
        if "/d/" in name:
            self._fail()
        return self._inner.create(name, size_hint)

    def delete(self, names: Sequence[str]) -> None:
        self._inner.delete(names)

    def close(self) -> None:
        self._inner.close()


def _raise(error: Exception) -> Callable[[], object]:
    def fail() -> None:
        raise error

    return fail


def attempt(host: Host, fail: Callable[[], object]) -> PapiError:
    with pytest.raises(PapiError) as failed:
        host.back_up("inc", opener=lambda: Failing(DirectoryStorage(host.base / "storage"), fail))
    return failed.value


@pytest.mark.parametrize("helpers", [0, 1, 2])
@pytest.mark.parametrize(
    "error",
    [
        StorageCredentialsError("refused"),
        InvalidStorageError("disk full"),
        TransferError("given up"),
    ],
)
def test_what_a_storage_says_to_a_helper_keeps_its_code_and_words(
    host: Host, helpers: int, error: PapiError
) -> None:
    host.helpers = helpers
    before = host.object_names()
    told = attempt(host, _raise(error))
    assert (type(told), told.message) == (type(error), error.message)
    assert_nothing_happened(host, before)


def test_a_programming_error_in_a_helper_is_an_internal_error_without_its_words(
    host: Host, capfd: pytest.CaptureFixture[str]
) -> None:
    host.helpers = 2
    before = host.object_names()
    told = attempt(host, _raise(ZeroDivisionError("with the secret in its text")))
    assert isinstance(told, InternalError)
    assert told.message == "A reading process failed: ZeroDivisionError."
    assert "ZeroDivisionError" in capfd.readouterr().err  # where it happened is for the log
    assert_nothing_happened(host, before)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_helper_that_is_killed_fails_the_job_and_leaves_no_backup(host: Host, how: signal.Signals) -> None:
    host.helpers = 2
    before = host.object_names()
    told = attempt(host, lambda: os.kill(os.getpid(), how))
    assert isinstance(told, InternalError)
    assert f"exit status -{how.value}" in told.message
    assert_nothing_happened(host, before)


def test_no_helper_outlives_its_job(host: Host) -> None:
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    before = set(children.read_text().split())  # the servers of other tests
    host.helpers = 2
    attempt(host, _raise(ERROR))
    host.back_up("inc")
    deadline = time.monotonic() + 10
    while set(children.read_text().split()) - before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert set(children.read_text().split()) - before == set()


def test_a_failure_ends_the_helpers_at_once_while_the_walk_still_has_much_to_tell(host: Host) -> None:
    for number in range(100):
        (host.tree / f"a{number}").write_bytes(os.urandom(100_000))
    for number in range(20_000):
        (host.tree / f"b{number}").touch()
    host.helpers = 2
    before = host.object_names()
    begun = time.monotonic()
    assert attempt(host, _raise(ERROR)).message == ERROR.message
    assert time.monotonic() - begun < 8  # helpers that do not notice are killed after 10
    assert_nothing_happened(host, before)


def test_leftovers_of_a_crash_are_never_taken_for_a_backup(host: Host) -> None:
    """As after kill -9: volumes without a manifest, in the chain and beside it."""
    pid = os.fork()
    if not pid:
        host.back_up("inc", opener=lambda: Failing(DirectoryStorage(host.base / "storage"), _die))
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    assert len(host.backups()) == 1
    assert host.back_up("inc").backup_type == "inc"
    assert host.saved() == tree_on_disk(host.tree)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
