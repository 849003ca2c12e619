# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every storage does, whatever its kind: the protocol as a specification."""

from __future__ import annotations

import hashlib
import random
import threading
import time

import pytest
from realparts.storage_places import Place

from papi_backup.engine.storage.protocol import (
    ObjectExistsError,
    ObjectInfo,
    ObjectMissingError,
    Storage,
)
from papi_backup.engine.storage.unfinished import unfinished_of

MEBIBYTE = 1 << 20
BODY = bytes(range(256)) * 40
ESCAPED = [f"={byte:02x}" for byte in range(256)]


def put(storage: Storage, name: str, data: bytes, step: int = MEBIBYTE) -> None:
    writer = storage.create(name, len(data))
    try:
        for start in range(0, len(data), step):
            writer.write(data[start : start + step])
        writer.commit()
    finally:
        writer.abort()


def names(storage: Storage, prefix: str = "") -> list[str]:
    return sorted(found.name for found in storage.list(prefix))


def random_bytes(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


# -- creating ----------------------------------------------------------------------------------


def test_an_object_comes_back_as_it_was_written(place: Place) -> None:
    storage = place.open()
    put(storage, "data/a/1", BODY)
    assert storage.get("data/a/1") == BODY
    assert names(storage) == ["data/a/1"]
    assert place.leftovers() == []


def test_an_object_is_seen_only_after_its_commit(place: Place) -> None:
    storage, observer = place.open(), place.open()
    writer = storage.create("data/a/1", len(BODY))
    writer.write(BODY)
    assert list(observer.list("")) == []
    with pytest.raises(ObjectMissingError):
        observer.stat("data/a/1")
    with pytest.raises(ObjectMissingError):
        observer.get("data/a/1")
    writer.commit()
    assert names(observer) == ["data/a/1"]
    assert observer.get("data/a/1") == BODY


def test_an_object_on_its_way_is_shown_where_the_storage_can(place: Place) -> None:
    """On S3 parts of an upload are in no listing."""
    storage = place.open()
    put(storage, "data/whole", BODY)
    writer = storage.create("data/half", MEBIBYTE)
    writer.write(random_bytes(MEBIBYTE))
    shown = [found.name.rpartition("/")[2] for found in unfinished_of(place.open())]
    assert shown == ([] if place.pages_matter else place.leftovers())
    writer.abort()
    assert len(unfinished_of(place.open())) == 0


def test_an_object_that_exists_is_never_overwritten(place: Place) -> None:
    storage = place.open()
    put(storage, "data/a/1", BODY)
    for other in (b"another", b"", BODY[::-1]):
        with pytest.raises(ObjectExistsError):
            put(storage, "data/a/1", other)
    assert storage.get("data/a/1") == BODY
    assert place.leftovers() == []


def test_an_abort_leaves_nothing(place: Place) -> None:
    storage = place.open()
    for size in (0, 5, len(BODY)):
        writer = storage.create("data/a/1", size)
        writer.write(BODY[:size])
        writer.abort()
        writer.abort()
    assert list(storage.list("")) == []
    assert place.leftovers() == []


def test_an_abort_after_the_commit_does_nothing(place: Place) -> None:
    storage = place.open()
    writer = storage.create("data/a/1")
    writer.write(BODY)
    writer.commit()
    writer.abort()
    assert storage.get("data/a/1") == BODY


def test_what_is_written_may_be_reused_by_the_caller_at_once(place: Place) -> None:
    storage = place.open()
    writer = storage.create("data/a/1")
    buffer = bytearray(700_000)
    expected = hashlib.sha256()
    for number in range(5):
        buffer[:] = bytes([number]) * len(buffer)
        expected.update(buffer)
        writer.write(memoryview(buffer))
    writer.commit()
    assert hashlib.sha256(storage.get("data/a/1")).digest() == expected.digest()


@pytest.mark.parametrize("step", [1, 13, 4096])
def test_the_size_of_the_writes_does_not_matter(place: Place, step: int) -> None:
    storage = place.open()
    put(storage, "data/a/1", BODY[: 300 * step], step)
    assert storage.get("data/a/1") == BODY[: 300 * step]


def test_an_empty_object_is_an_object(place: Place) -> None:
    storage = place.open()
    put(storage, "data/a/0", b"")
    assert storage.get("data/a/0") == b""
    assert storage.get("data/a/0", 0, 10) == b""
    assert storage.stat("data/a/0").size == 0
    assert [(found.name, found.size) for found in storage.list("")] == [("data/a/0", 0)]
    with pytest.raises(ObjectExistsError):
        put(storage, "data/a/0", b"")


@pytest.mark.slow
def test_an_object_larger_than_one_request_takes_comes_back(place: Place) -> None:
    storage = place.open()
    data = random_bytes(65 * MEBIBYTE + 1)
    put(storage, "data/a/large", data, 3 * MEBIBYTE + 7)
    assert storage.stat("data/a/large").size == len(data)
    assert storage.get("data/a/large") == data
    assert storage.get("data/a/large", 64 * MEBIBYTE - 5, 10) == data[64 * MEBIBYTE - 5 : 64 * MEBIBYTE + 5]
    writer = storage.create("data/a/large", len(data))
    writer.write(data)
    with pytest.raises(ObjectExistsError):
        writer.commit()
    writer.abort()
    writer = storage.create("data/a/aborted", len(data))
    writer.write(data)
    writer.abort()
    assert names(storage) == ["data/a/large"]
    assert place.leftovers() == []


@pytest.mark.parametrize("round_number", range(3))
def test_of_two_writers_racing_for_a_name_exactly_one_wins(place: Place, round_number: int) -> None:
    bodies = [random_bytes(300_000, seed) for seed in (1, 2)]
    together = threading.Barrier(2)
    outcomes: list[tuple[bytes, bool]] = []

    def race(storage: Storage, body: bytes) -> None:
        writer = storage.create("data/a/1", len(body))
        writer.write(body)
        together.wait()
        try:
            writer.commit()
        except ObjectExistsError:
            outcomes.append((body, False))
        else:
            outcomes.append((body, True))
        writer.abort()

    racers = [threading.Thread(target=race, args=(place.open(), body)) for body in bodies]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    winners = [body for body, won in outcomes if won]
    assert len(outcomes) == 2
    assert len(winners) == 1
    assert place.open().get("data/a/1") == winners[0]
    assert place.leftovers() == []


def test_reads_between_the_writes_of_one_storage_do_not_disturb_them(place: Place) -> None:
    storage = place.open()
    put(storage, "data/a/1", BODY)
    first, second = storage.create("data/b/1"), storage.create("data/b/2")
    for number in range(4):
        first.write(bytes([number]) * 300_000)
        assert storage.get("data/a/1", 5, 7) == BODY[5:12]
        second.write(bytes([number + 100]) * 300_000)
        assert names(storage) == ["data/a/1"]
    second.commit()
    first.commit()
    assert storage.get("data/b/1") == b"".join(bytes([number]) * 300_000 for number in range(4))
    assert storage.get("data/b/2") == b"".join(bytes([number + 100]) * 300_000 for number in range(4))


# -- reading -----------------------------------------------------------------------------------


def test_every_range_is_the_same_slice_of_the_object(place: Place) -> None:
    storage = place.open()
    body = BODY[:100]
    put(storage, "data/a/1", body)
    for offset in (0, 1, 50, 98, 99, 100, 101, 500):
        assert storage.get("data/a/1", offset) == body[offset:]
        for length in (0, 1, 2, 49, 50, 51, 99, 100, 101, 500):
            assert storage.get("data/a/1", offset, length) == body[offset : offset + length]


def test_ranges_around_the_request_sizes_of_the_transports_are_exact(place: Place) -> None:
    storage = place.open()
    data = random_bytes(6 * MEBIBYTE + 5)
    put(storage, "data/a/1", data)
    assert storage.get("data/a/1") == data
    for edge in (32_640, 32_768, 261_120, 4 * MEBIBYTE, len(data)):
        for offset in (edge - 1, edge, edge + 1):
            for length in (1, 2, 261_121, MEBIBYTE):
                assert storage.get("data/a/1", offset, length) == data[offset : offset + length]
    assert storage.get("data/a/1", 1, len(data)) == data[1:]


def test_a_missing_object_is_missing_to_get_and_stat(place: Place) -> None:
    storage = place.open()
    put(storage, "data/a/1", BODY)
    for name in ("data/a/2", "data/b/1", "data/a", "data", "data/a/1/below"):
        with pytest.raises(ObjectMissingError):
            storage.get(name)
        with pytest.raises(ObjectMissingError):
            storage.get(name, 0, 0)
        with pytest.raises(ObjectMissingError):
            storage.stat(name)


def test_stat_tells_size_and_the_time_of_writing(place: Place) -> None:
    storage = place.open()
    put(storage, "data/a/1", BODY)
    found = storage.stat("data/a/1")
    assert (found.name, found.size) == ("data/a/1", len(BODY))
    assert abs(found.modified - time.time()) < 60


# -- listing -----------------------------------------------------------------------------------


def test_a_list_has_every_object_below_its_prefix_and_no_other(place: Place) -> None:
    storage = place.open()
    wanted = ["data/a/b/c/d/1", "data/a/b/2", "data/a/3"]
    for name in (*wanted, "data/ab/4", "catalog/a/5", "top"):
        put(storage, name, name.encode())
    assert names(storage, "data/a/") == sorted(wanted)
    assert names(storage) == sorted([*wanted, "data/ab/4", "catalog/a/5", "top"])
    assert {found.name: found.size for found in storage.list("data/")} == {
        name: len(name) for name in (*wanted, "data/ab/4")
    }
    assert all(isinstance(found, ObjectInfo) and found.modified > 0 for found in storage.list(""))


def test_an_empty_or_missing_place_lists_as_empty(place: Place) -> None:
    storage = place.open()
    assert list(storage.list("")) == []
    assert list(storage.list("data/nothing/here/")) == []
    assert list(storage.list_children("")) == []
    assert list(storage.list_children("data/nothing/")) == []


def test_children_are_the_directories_directly_below(place: Place) -> None:
    storage = place.open()
    for name in ("catalog/host1/x/1", "catalog/host2/y/1", "catalog/host1/z/1", "catalog/file", "data/q/1"):
        put(storage, name, b"x")
    assert sorted(storage.list_children("")) == ["catalog", "data"]
    assert sorted(storage.list_children("catalog/")) == ["host1", "host2"]
    assert sorted(storage.list_children("catalog/host1/")) == ["x", "z"]
    assert list(storage.list_children("catalog/host1/x/")) == []


def test_a_child_without_any_object_is_not_told(place: Place) -> None:
    storage = place.open()
    for name in ("catalog/host1/x/1", "catalog/host2/y/1"):
        put(storage, name, b"x")
    place.make_directory("catalog/host3/z")
    assert sorted(storage.list_children("catalog/")) == ["host1", "host2"]


@pytest.mark.slow
def test_a_list_of_more_objects_than_a_page_has_is_whole(place: Place) -> None:
    storage = place.open()
    wanted = [f"data/many/{number:04d}" for number in range(1105 if place.pages_matter else 130)]
    for name in wanted:
        put(storage, name, b"")
    assert names(storage, "data/many/") == wanted
    storage.delete(wanted)
    assert names(storage) == []


def test_names_with_every_escaped_byte_are_kept(place: Place) -> None:
    storage = place.open()
    wanted = [f"data/{''.join(ESCAPED[start : start + 32])}/x=00._-y" for start in range(0, 256, 32)]
    wanted += ["data/" + "a" * 200 + "/" + "=ff" * 66, "data/a..b/c.-_", "data/=2e=2e/=2f"]
    for name in wanted:
        put(storage, name, name.encode())
    assert names(storage) == sorted(wanted)
    for name in wanted:
        assert storage.get(name) == name.encode()
    assert sorted(storage.list_children("data/")) == sorted({name.split("/")[1] for name in wanted})
    storage.delete(wanted)
    assert names(storage) == []


def test_names_that_leave_the_base_are_a_programming_error(place: Place) -> None:
    storage = place.open()
    for name in ("../x", "a/../../x", "/etc/passwd", "a//b", "", ".", "a/./b", "tmp/x", "a\0b", "a/"):
        for call in (storage.create, storage.get, storage.stat, lambda name: storage.delete([name])):
            with pytest.raises(ValueError, match="unsafe"):
                call(name)
    for prefix in ("a", "../", "/", "a/../"):
        with pytest.raises(ValueError, match=r"unsafe|slash"):
            list(storage.list(prefix))
        with pytest.raises(ValueError, match=r"unsafe|slash"):
            storage.list_children(prefix)


# -- deleting ----------------------------------------------------------------------------------


def test_deleting_removes_the_objects_and_the_directories_they_leave_empty(place: Place) -> None:
    storage = place.open()
    for name in ("data/a/b/1", "data/a/b/2", "data/a/c/3", "catalog/x/4"):
        put(storage, name, b"x")
    storage.delete(["data/a/b/1"])
    assert names(storage) == ["catalog/x/4", "data/a/b/2", "data/a/c/3"]
    storage.delete(["data/a/b/2", "catalog/x/4"])
    assert names(storage) == ["data/a/c/3"]
    assert place.directories() in ([], ["data", "data/a", "data/a/c"])
    storage.delete(["data/a/c/3"])
    assert names(storage) == []
    assert place.directories() == []
    put(storage, "data/a/b/1", b"again")
    assert storage.get("data/a/b/1") == b"again"


def test_deleting_what_is_gone_is_no_error(place: Place) -> None:
    storage = place.open()
    put(storage, "data/a/1", b"x")
    storage.delete([])
    storage.delete(["data/a/1", "data/a/1", "data/a/2", "no/such/object"])
    storage.delete(["data/a/1"])
    assert names(storage) == []


def test_writing_where_another_deletes_never_loses_the_object(place: Place) -> None:
    """The directory may vanish, because it is empty, just before a new object is put into it."""
    writing, deleting = place.open(), place.open()
    stop = threading.Event()

    def keep_deleting() -> None:
        while not stop.is_set():
            deleting.delete(["data/a/b/other"])
            time.sleep(0.001)

    deleter = threading.Thread(target=keep_deleting)
    deleter.start()
    try:
        for number in range(20):
            put(writing, f"data/a/b/{number}", b"x")
            assert writing.get(f"data/a/b/{number}") == b"x"
            writing.delete([f"data/a/b/{number}"])
    finally:
        stop.set()
        deleter.join()


# -- connections -------------------------------------------------------------------------------


def test_another_connection_sees_what_the_first_left(place: Place) -> None:
    first = place.open()
    put(first, "data/a/1", BODY)
    first.close()
    second = place.open()
    assert second.get("data/a/1") == BODY
    with pytest.raises(ObjectExistsError):
        put(second, "data/a/1", b"x")


def test_closing_twice_is_no_error(place: Place) -> None:
    storage = place.open()
    storage.close()
    storage.close()
