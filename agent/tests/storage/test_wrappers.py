# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The wrappers: faults come where the script says, retries end in success or in 4005."""

from __future__ import annotations

from pathlib import Path

import pytest

from papi_backup.engine.storage.backoff import RetryPolicy
from papi_backup.engine.storage.connecting import TransientError, UnreachableError
from papi_backup.engine.storage.directory import DirectoryStorage
from papi_backup.engine.storage.faults import Fault, FaultyStorage, Method
from papi_backup.engine.storage.protocol import ObjectExistsError, ObjectMissingError, Storage
from papi_backup.engine.storage.retrying import RetryingStorage
from papi_backup.model.errors import InvalidStorageError, StorageCredentialsError, TransferError

NAME = "data/1"
REPEATED: tuple[Method, ...] = ("list", "list_children", "get", "stat", "create", "delete", "commit")


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def read(self) -> float:
        return self.now

    def policy(self, attempts: int = 4, total: float = 900.0) -> RetryPolicy:
        return RetryPolicy(attempts, 1.0, 5.0, total, self.sleep, self.read, lambda: 1.0)


def put(storage: Storage, name: str = NAME, data: bytes = b"body") -> None:
    writer = storage.create(name)
    writer.write(data)
    writer.commit()


def whole_story(storage: Storage) -> None:
    put(storage)
    put(storage, "data/2")
    assert storage.get(NAME) == b"body"
    assert storage.stat(NAME).size == 4
    assert sorted(found.name for found in storage.list("")) == ["data/1", "data/2"]
    assert list(storage.list_children("")) == ["data"]
    storage.delete([NAME, "data/2"])
    assert list(storage.list("")) == []


# -- retrying ------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", REPEATED)
@pytest.mark.parametrize("error", [TransientError("passes"), UnreachableError("comes back")])
def test_what_may_pass_is_repeated_until_it_has_passed(
    tmp_path: Path, method: Method, error: Exception
) -> None:
    clock = Clock()
    faults = [Fault(method, number, error) for number in (1, 2, 3)]
    storage = RetryingStorage(FaultyStorage(DirectoryStorage(tmp_path / "b"), faults), clock.policy())
    whole_story(storage)
    assert clock.slept == [1.0, 2.0, 4.0]


@pytest.mark.parametrize("method", REPEATED)
def test_what_does_not_pass_is_given_up_as_4005(tmp_path: Path, method: Method) -> None:
    clock = Clock()
    faults = [Fault(method, number, TransientError("still bad")) for number in range(1, 9)]
    storage = RetryingStorage(FaultyStorage(DirectoryStorage(tmp_path / "b"), faults), clock.policy())
    with pytest.raises(TransferError, match=r"given up after 4 attempts: still bad"):
        whole_story(storage)
    assert len(clock.slept) == 3


def test_delays_grow_to_a_limit_and_are_jittered() -> None:
    policy = RetryPolicy(first_delay=1, longest_delay=5, random=lambda: 0.0)
    assert [policy.delay(failures) for failures in (1, 2, 3, 4, 5)] == [0.5, 1.0, 2.0, 2.5, 2.5]
    policy = RetryPolicy(first_delay=1, longest_delay=5)
    assert all(1.0 <= policy.delay(2) <= 2.0 for unused in range(100))


def test_the_total_time_ends_the_attempts_too(tmp_path: Path) -> None:
    clock = Clock()
    faults = [Fault("get", number, TransientError("still bad")) for number in range(1, 99)]
    storage = RetryingStorage(
        FaultyStorage(DirectoryStorage(tmp_path / "b"), faults), clock.policy(attempts=90, total=20)
    )
    with pytest.raises(TransferError, match="given up"):
        storage.get(NAME)
    assert clock.now - 1000.0 <= 20


@pytest.mark.parametrize(
    "error",
    [
        StorageCredentialsError("no"),
        InvalidStorageError("no"),
        TransferError("no"),
        ObjectMissingError("no"),
        ObjectExistsError("no"),
        ZeroDivisionError("a programming error"),
    ],
)
def test_what_will_not_pass_is_not_repeated(tmp_path: Path, error: Exception) -> None:
    clock = Clock()
    inner = FaultyStorage(DirectoryStorage(tmp_path / "b"), [Fault("get", 1, error)])
    with pytest.raises(type(error), match=r"no|programming"):
        RetryingStorage(inner, clock.policy()).get(NAME)
    assert clock.slept == []


def test_a_listing_that_breaks_begins_again_and_yields_nothing_twice(tmp_path: Path) -> None:
    inner = DirectoryStorage(tmp_path / "b")
    for number in range(5):
        put(inner, f"data/{number}")
    faults = [Fault("list", number, TransientError("cut"), keep=number) for number in (1, 2, 3)]
    storage = RetryingStorage(FaultyStorage(inner, faults), Clock().policy())
    assert sorted(found.name for found in storage.list("")) == [f"data/{number}" for number in range(5)]


def test_a_first_connection_is_repeated_only_if_it_broke(tmp_path: Path) -> None:
    clock = Clock()
    inner = FaultyStorage(DirectoryStorage(tmp_path), [Fault("open", 1, TransientError("broke off"))])
    RetryingStorage(inner, clock.policy()).open()
    assert clock.slept == [1.0]
    inner = FaultyStorage(DirectoryStorage(tmp_path), [Fault("open", 1, UnreachableError("nobody there"))])
    with pytest.raises(InvalidStorageError, match="nobody there"):
        RetryingStorage(inner, clock.policy()).open()
    inner = FaultyStorage(
        DirectoryStorage(tmp_path),
        [Fault("open", number, TransientError("broke off")) for number in range(1, 9)],
    )
    with pytest.raises(InvalidStorageError, match="connecting: given up after 4 attempts"):
        RetryingStorage(inner, clock.policy()).open()


def test_a_write_is_never_repeated_because_it_might_append_twice(tmp_path: Path) -> None:
    inner = FaultyStorage(
        DirectoryStorage(tmp_path / "b"), [Fault("write", 1, TransientError("cut"), after=True)]
    )
    writer = RetryingStorage(inner, Clock().policy()).create(NAME)
    with pytest.raises(TransferError, match=r"writing data/1: cut") as raised:
        writer.write(b"body")
    assert not isinstance(raised.value, TransientError)
    writer.abort()


# -- faults --------------------------------------------------------------------------------------


def test_without_faults_nothing_is_different_and_every_call_is_noted(tmp_path: Path) -> None:
    storage = FaultyStorage(DirectoryStorage(tmp_path / "b"))
    whole_story(storage)
    assert storage.calls[:4] == [("create", NAME), ("write", NAME), ("commit", NAME), ("create", "data/2")]


def test_a_fault_before_a_call_keeps_it_from_happening_and_one_after_does_not(tmp_path: Path) -> None:
    for after, there in ((False, []), (True, [NAME])):
        place = DirectoryStorage(tmp_path / str(after))
        storage = FaultyStorage(place, [Fault("commit", 1, TransferError("cut"), after=after)])
        writer = storage.create(NAME)
        with pytest.raises(TransferError):
            writer.commit()
        writer.abort()
        assert [found.name for found in place.list("")] == there


def test_faults_hit_the_call_they_name_and_no_other(tmp_path: Path) -> None:
    place = DirectoryStorage(tmp_path / "b")
    put(place)
    storage = FaultyStorage(place, [Fault("get", 2, TransferError("cut")), Fault("get", 3, flip=9)])
    assert storage.get(NAME) == b"body"
    with pytest.raises(TransferError):
        storage.get(NAME)
    assert storage.get(NAME) == b"bmdy"
    assert storage.get(NAME) == b"body"


def test_a_listing_can_be_short_without_a_word(tmp_path: Path) -> None:
    place = DirectoryStorage(tmp_path / "b")
    for number in range(5):
        put(place, f"data/{number}")
    storage = FaultyStorage(place, [Fault("list", 1, keep=2)])
    assert len(list(storage.list(""))) == 2
    assert len(list(storage.list(""))) == 5
