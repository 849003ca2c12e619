# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""S3 when things go wrong at one exact request, and servers that do not do all that AWS does."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from realparts.memory_s3 import CREATE_ONLY, MemoryS3, Stored, Trouble

from papi_backup.engine.storage.backoff import RetryPolicy
from papi_backup.engine.storage.protocol import ObjectExistsError, ObjectMissingError, Storage
from papi_backup.engine.storage.retrying import RetryingStorage
from papi_backup.engine.storage.s3 import S3ObjectStorage
from papi_backup.engine.storage.s3_answers import S3Timeouts
from papi_backup.engine.storage.s3_writer import IN_ONE
from papi_backup.model.errors import InvalidStorageError, PapiError, StorageCredentialsError, TransferError
from papi_backup.model.secret import Secret
from papi_backup.model.storage import S3Storage

MEBIBYTE = 1 << 20
NAME = "data/h/n/1"
BODY = random.Random(5).randbytes(70_000)
PATIENCE = RetryPolicy(attempts=4, first_delay=0.0)
SERVERS: tuple[CREATE_ONLY, ...] = ("honoured", "ignored", "not implemented", "bad request")


def lost_request(number: int) -> Trouble:
    return Trouble(number, lose_request=True)


def lost_reply(number: int) -> Trouble:
    return Trouble(number, lose_reply=True)


def slow_down(number: int) -> Trouble:
    return Trouble(number, status=503, code="SlowDown")


TROUBLES = (lost_request, lost_reply, slow_down)


def entry_on(server: MemoryS3) -> S3Storage:
    return S3Storage("s3", "AK", Secret("SK"), "bucket", 8, server.endpoint_url, "us-east-1", "some/prefix")


def storage_on(server: MemoryS3) -> Storage:
    storage = RetryingStorage(
        S3ObjectStorage(entry_on(server), S3Timeouts(2, 2, tries=1), PATIENCE), PATIENCE
    )
    storage.open()
    return storage


def put(storage: Storage, data: bytes = BODY, hint: int = 0, name: str = NAME) -> None:
    writer = storage.create(name, hint)
    try:
        for start in range(0, len(data), 5 * MEBIBYTE):
            writer.write(data[start : start + 5 * MEBIBYTE])
        writer.commit()
    finally:
        writer.abort()


def whole_story(storage: Storage, body: bytes = BODY, hint: int = 0) -> None:
    """Everything a storage does, with the answers checked."""
    put(storage, body, hint)
    assert storage.get(NAME) == body
    assert storage.get(NAME, 4000, 9000) == body[4000:13000]
    for number in range(4):
        put(storage, b"x", name=f"catalog/{number}")
    assert [found.name for found in storage.list("")] == [*(f"catalog/{number}" for number in range(4)), NAME]
    assert list(storage.list_children("data/")) == ["h"]
    storage.delete([NAME, *(f"catalog/{number}" for number in range(4))])
    assert list(storage.list("")) == []


def test_everything_happens_below_the_prefix() -> None:
    with MemoryS3() as server:
        put(storage_on(server))
        assert list(server.objects) == [f"some/prefix/{NAME}"]


@pytest.mark.slow
@pytest.mark.parametrize("create_only", SERVERS)
@pytest.mark.parametrize("trouble", TROUBLES)
def test_trouble_at_any_single_request_changes_nothing(
    create_only: CREATE_ONLY, trouble: Callable[[int], Trouble]
) -> None:
    with MemoryS3(create_only=create_only) as control:
        whole_story(storage_on(control))
    for number in range(2, len(control.requests) + 1):  # the first opens the bucket
        with MemoryS3(create_only=create_only, troubles=[trouble(number)]) as server:
            whole_story(storage_on(server))
            assert server.objects == {}


@pytest.mark.slow
@pytest.mark.parametrize("trouble", TROUBLES)
def test_trouble_at_any_request_of_a_large_upload_changes_nothing(trouble: Callable[[int], Trouble]) -> None:
    body = random.Random(6).randbytes(33 * MEBIBYTE)
    hint = IN_ONE + 1
    with MemoryS3() as control:
        put(storage_on(control), body, hint)
        assert control.requests.count("part") == 3
    for number in range(2, len(control.requests) + 1):
        with MemoryS3(troubles=[trouble(number)]) as server:
            storage = storage_on(server)
            put(storage, body, hint)
            assert storage.get(NAME) == body
            # an upload whose number was lost on the way cannot be aborted; the bucket's lifecycle rule does
            assert len(server.uploads) <= (1 if control.requests[number - 1] == "start_upload" else 0)


@pytest.mark.parametrize("create_only", SERVERS)
@pytest.mark.parametrize("hint", [0, IN_ONE + 1])
def test_an_existing_object_is_not_overwritten_whatever_the_server_knows(
    create_only: CREATE_ONLY, hint: int
) -> None:
    with MemoryS3(create_only=create_only) as server:
        storage = storage_on(server)
        put(storage)
        for other in (b"another", BODY, random.Random(9).randbytes(17 * MEBIBYTE)):
            with pytest.raises(ObjectExistsError):
                put(storage, other, hint)
        assert storage.get(NAME) == BODY
        assert server.uploads == {}


@pytest.mark.parametrize("keeps_metadata", [True, False])
def test_an_object_that_appears_while_a_reply_is_lost_is_told_from_ours_by_its_size(
    keeps_metadata: bool,
) -> None:
    with MemoryS3(keeps_metadata=keeps_metadata, troubles=[Trouble(1, "put", lose_reply=True)]) as server:
        storage = storage_on(server)
        put(storage)
        assert storage.get(NAME) == BODY


def test_another_writer_of_the_same_size_is_told_from_us_by_its_mark() -> None:
    """Our request is lost, and before it is repeated another object of that size takes the name."""
    with MemoryS3() as server:
        other = storage_on(server).create(NAME)
        other.write(BODY[::-1])

        def meanwhile(seconds: float) -> None:
            del seconds
            other.commit()

        policy = RetryPolicy(attempts=3, sleep=meanwhile)
        ours = RetryingStorage(S3ObjectStorage(entry_on(server), S3Timeouts(2, 2, tries=1)), policy)
        writer = ours.create(NAME)
        writer.write(BODY)
        server.troubles = [Trouble(1, "put", lose_request=True)]
        with pytest.raises(ObjectExistsError):
            writer.commit()
        assert ours.get(NAME) == BODY[::-1]


@pytest.mark.parametrize(("kind", "hint"), [("put", 0), ("complete", IN_ONE + 1)])
def test_an_object_that_appears_at_the_last_moment_is_not_overwritten(kind: str, hint: int) -> None:
    key = f"some/prefix/{NAME}"
    with MemoryS3() as server:
        storage = storage_on(server)

        def appear(requested: str) -> None:
            if requested == kind:
                server.objects.setdefault(key, Stored(b"another", {}))

        server.on_request = appear
        with pytest.raises(ObjectExistsError):
            put(storage, bytes(17 * MEBIBYTE), hint)
        assert server.objects == {key: Stored(b"another", {})}
        assert server.uploads == {}


def test_where_the_last_moment_cannot_be_guarded_the_overwriting_is_noticed() -> None:
    """A server that ignores If-None-Match: of two racing writers the one that lost is told so."""
    with MemoryS3(create_only="ignored") as server:
        storage = storage_on(server)

        def replace(requested: str) -> None:
            if requested == "head" and "put" in server.requests:
                server.objects[f"some/prefix/{NAME}"] = Stored(
                    BODY[::-1], {"x-amz-meta-papi-writer": "other"}
                )

        server.on_request = replace
        with pytest.raises(ObjectExistsError):
            put(storage)


def test_an_object_that_became_shorter_on_the_way_is_an_error() -> None:
    with MemoryS3(shrink=1) as server, pytest.raises(TransferError, match="were sent"):
        put(storage_on(server))


def test_a_storm_that_does_not_end_is_4005() -> None:
    with MemoryS3(
        troubles=[Trouble(number, "put", status=503, code="SlowDown") for number in range(1, 9)]
    ) as server:
        with pytest.raises(TransferError, match=r"writing data/h/n/1: given up after 4 attempts.*SlowDown"):
            put(storage_on(server))
        assert server.requests.count("put") == 4


def test_an_upload_that_is_given_up_leaves_no_parts() -> None:
    with MemoryS3(troubles=[Trouble(number, "part", status=500) for number in range(2, 9)]) as server:
        with pytest.raises(TransferError):
            put(storage_on(server), bytes(40 * MEBIBYTE), IN_ONE + 1)
        assert server.uploads == {}
        assert server.objects == {}


def test_a_completion_that_answers_200_with_an_error_is_repeated() -> None:
    with MemoryS3(troubles=[Trouble(1, "complete", status=200)]) as server:
        storage = storage_on(server)
        put(storage, bytes(20 * MEBIBYTE), IN_ONE + 1)
        assert storage.stat(NAME).size == 20 * MEBIBYTE


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (403, "AccessDenied", StorageCredentialsError),
        (403, "SignatureDoesNotMatch", StorageCredentialsError),
        (403, "InvalidAccessKeyId", StorageCredentialsError),
        (403, "SomethingNew", StorageCredentialsError),
        (401, "Unauthorized", StorageCredentialsError),
        (403, "RequestTimeTooSkewed", StorageCredentialsError),
        (404, "NoSuchBucket", InvalidStorageError),
        (403, "QuotaExceeded", InvalidStorageError),
        (507, "InsufficientStorage", InvalidStorageError),
        (403, "InvalidObjectState", InvalidStorageError),
        (405, "MethodNotAllowed", InvalidStorageError),
    ],
)
def test_each_refusal_has_its_cause(status: int, code: str, error: type[PapiError]) -> None:
    with MemoryS3() as server:
        storage = storage_on(server)
        put(storage)
        server.troubles = [
            Trouble(number, kind, status=status, code=code)
            for kind in ("put", "get", "list")
            for number in range(1, 9)
        ]
        server.requests.clear()
        for attempt in (
            lambda: put(storage, name="data/2"),
            lambda: storage.get(NAME),
            lambda: list(storage.list("")),
            lambda: storage.list_children(""),
        ):
            with pytest.raises(error) as raised:
                attempt()
            assert raised.type is error
        if code == "RequestTimeTooSkewed":
            assert "clock" in str(raised.value)


def test_a_full_storage_says_so() -> None:
    trouble = Trouble(1, "put", status=507, code="InsufficientStorage")
    with MemoryS3(troubles=[trouble]) as server, pytest.raises(InvalidStorageError, match="disk full"):
        put(storage_on(server))


LISTINGS: dict[str, Callable[[str], str]] = {
    "an entry less than counted": lambda text: text.replace("<KeyCount>3<", "<KeyCount>4<"),
    "the rest is missing": lambda text: text.split("<NextContinuationToken>")[0] + "</ListBucketResult>",
    "no word whether it is all": lambda text: text.replace("IsTruncated>", "Nothing>"),
    "the same page for ever": lambda text: text.replace(
        ">6</NextContinuationToken>", ">3</NextContinuationToken>"
    ),
    "keys of another place": lambda text: text.replace("some/prefix/", "another/place/"),
    "not XML": lambda text: text[: len(text) // 2],
    "empty body": lambda text: text[:0],
}


@pytest.mark.parametrize("what", LISTINGS)
def test_a_listing_that_contradicts_itself_is_an_error_and_never_a_short_list(what: str) -> None:
    with MemoryS3() as server:
        storage = storage_on(server)
        for number in range(8):
            put(storage, b"x", name=f"data/{number}")
        assert len(list(storage.list(""))) == 8
        server.alter_listing = LISTINGS[what]
        with pytest.raises(TransferError):
            list(storage.list("data/"))


def test_a_server_that_answers_a_range_with_everything_is_understood() -> None:
    with MemoryS3(knows_ranges=False) as server:
        storage = storage_on(server)
        put(storage)
        assert storage.get(NAME, 10, 20) == BODY[10:30]
        assert storage.get(NAME, 10) == BODY[10:]


def test_a_server_without_bulk_deletion_is_asked_one_by_one() -> None:
    with MemoryS3(knows_bulk_delete=False) as server:
        whole_story(storage_on(server))
        assert server.requests.count("delete") == 5


def test_an_object_that_may_not_be_deleted_is_an_error_with_its_name() -> None:
    with MemoryS3(locked={f"some/prefix/{NAME}"}) as server:
        storage = storage_on(server)
        put(storage)
        put(storage, name="data/2")
        with pytest.raises(StorageCredentialsError, match=NAME):
            storage.delete(["data/2", NAME])
        assert list(server.objects) == [f"some/prefix/{NAME}"]


def test_a_place_marker_of_another_tool_is_no_object() -> None:
    with MemoryS3() as server:
        storage = storage_on(server)
        put(storage)
        put(storage, name="data/2")
        server.objects["some/prefix/data/"] = server.objects[f"some/prefix/{NAME}"]
        assert sorted(found.name for found in storage.list("")) == ["data/2", NAME]
        with pytest.raises(ObjectMissingError):
            storage.get("data")
