# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Orders, messages and questions survive the way through a pipe unchanged; secrets stay out of texts."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from papi_backup.jobs.codec import decode, encode, secrets_in
from papi_backup.jobs.orders import (
    Failure,
    JobOrder,
    Message,
    dump_message,
    dump_order,
    load_message,
    load_order,
)
from papi_backup.jobs.questions import Asked, PlanRestore, dump_question, load_question
from papi_backup.jobs.redaction import RedactingFormatter, Redactor
from papi_backup.model.job import BackupOrder, JobResult, Progress, RestoreOptions, RestoreOrder
from papi_backup.model.limits import Limits, Window
from papi_backup.model.schedule import SourceSet
from papi_backup.model.secret import Secret
from papi_backup.model.storage import S3Storage, SshId, SshStorage, StorageAccess

ANY_BYTES_AS_TEXT = st.binary(max_size=12).map(lambda data: data.decode("utf-8", "surrogateescape"))
TEXT = st.one_of(ANY_BYTES_AS_TEXT, st.text(max_size=12))
SECRETS = st.text(max_size=12).map(Secret)
INSTANTS = st.datetimes(timezones=st.just(UTC))
NUMBERS = st.integers(0, 1 << 70)
SSH = st.builds(SshStorage, TEXT, TEXT, NUMBERS, TEXT, NUMBERS, TEXT, TEXT, NUMBERS)
S3 = st.builds(S3Storage, TEXT, TEXT, SECRETS, TEXT, NUMBERS, TEXT, TEXT, TEXT, NUMBERS)
ACCESS = st.builds(
    StorageAccess, SSH | S3, st.none() | st.builds(SshId, NUMBERS, TEXT, NUMBERS, TEXT, SECRETS)
)
TEXTS = st.lists(TEXT, max_size=3).map(tuple)
TYPES = st.sampled_from(("full", "inc"))
MAYBE = st.none() | NUMBERS
DAYS = st.lists(NUMBERS).map(tuple)
WINDOWS = st.builds(Window, DAYS, NUMBERS, NUMBERS, MAYBE, MAYBE, MAYBE, st.none() | TEXT)
LIMITS = st.builds(Limits, NUMBERS, NUMBERS, TEXT, st.lists(WINDOWS, max_size=2).map(tuple))
BACKUPS = st.builds(
    BackupOrder,
    host_name=TEXT,
    instance_id=TEXT,
    backup_name=TEXT,
    backup_type=TYPES,
    access=ACCESS,
    sources=st.builds(SourceSet, TEXTS, TEXTS),
    encryption_key=SECRETS,
    state_dir=TEXT,
    cache_dir=TEXT,
    known_chain_keys=st.lists(st.tuples(TEXT, SECRETS), max_size=3).map(tuple),
    high_water=TEXT,
    limits=LIMITS,
)
OPTIONS = st.builds(
    RestoreOptions,
    NUMBERS,
    TEXT,
    INSTANTS,
    TEXT,
    SECRETS,
    TEXT,
    TEXTS,
    st.sampled_from(("always", "changed", "never", "fail")),
)
RESTORES = st.builds(RestoreOrder, TEXT, ACCESS, OPTIONS, TEXTS, NUMBERS)
RESULTS = st.builds(
    JobResult,
    TEXT,
    TYPES,
    NUMBERS,
    NUMBERS,
    NUMBERS,
    NUMBERS,
    NUMBERS,
    TEXTS,
    st.none() | INSTANTS,
    TEXT,
    st.none() | SECRETS,
    TEXT,
)
MESSAGES = st.one_of(
    RESULTS, st.builds(Failure, NUMBERS, TEXT), st.builds(Progress, NUMBERS, NUMBERS, NUMBERS)
)


@settings(max_examples=100, deadline=None)
@given(BACKUPS | RESTORES)
def test_an_order_arrives_as_it_was_sent(order: JobOrder) -> None:
    assert load_order(dump_order(order)) == order


@settings(max_examples=100, deadline=None)
@given(MESSAGES)
def test_a_message_is_one_line_and_arrives_as_it_was_sent(message: Message) -> None:
    line = dump_message(message)
    assert line.count(b"\n") == 1
    assert load_message(line) == message


@settings(max_examples=100, deadline=None)
@given(RESTORES)
def test_a_question_is_one_line_and_arrives_as_it_was_asked(order: RestoreOrder) -> None:
    asked = Asked(PlanRestore(order), 1.5)
    line = dump_question(asked)
    assert line.count(b"\n") == 1
    assert load_question(line) == asked


UNREADABLE = [
    b"",
    b"7",
    b"[]",
    b"{}",
    b'{"progress": 7}',
    b'{"result": {}}',
    b'{"error": {"code": "x"}}',
    b"{",
]


@pytest.mark.parametrize("line", UNREADABLE)
def test_what_is_no_message_is_refused(line: bytes) -> None:
    with pytest.raises((ValueError, TypeError)):
        load_message(line)


@pytest.mark.parametrize("data", [b"", b"7", b"{}", b'{"@": "BackupOrder"}', b'{"@": "Job"}'])
def test_what_is_no_order_is_refused(data: bytes) -> None:
    with pytest.raises((ValueError, TypeError)):
        load_order(data)


def test_a_field_of_the_wrong_type_is_refused_without_repeating_it() -> None:
    with pytest.raises(TypeError) as caught:
        decode(Progress, encode(Progress()) | {"files_done": "s3cret-text"})
    assert "s3cret-text" not in str(caught.value)


def test_fields_that_this_version_does_not_know_are_ignored() -> None:
    assert decode(Progress, json.loads('{"files_done": 3, "novelty": 1}')) == Progress(files_done=3)


def test_all_secrets_of_an_order_are_found() -> None:
    access = StorageAccess(
        SshStorage("s", "h", 22, "u", 1, "/b"), SshId(1, "k", 2048, "pub", Secret("private"))
    )
    options = RestoreOptions(1, "etc", datetime(2026, 1, 1, tzinfo=UTC), "h", Secret("the key"))
    assert set(secrets_in(RestoreOrder("h", access, options, ("/s",)))) == {"private", "the key"}


REDACTED = [
    ("the whole secret", "key swordfish bad", "key ******** bad"),
    ("each line of a private key", "in line c3dvcmQx of it", "in line ******** of it"),
    ("a secret as repr shows it", r"KeyError: 'tab\tbed'", "KeyError: '********'"),
    ("no secret", "nothing to see", "nothing to see"),
    ("a secret too short to mask without telling it", "a banana", "a banana"),
    ("the banner of a private key, which is none", "-----BEGIN KEY-----", "-----BEGIN KEY-----"),
]


@pytest.mark.parametrize(
    ("text", "expected"), [row[1:] for row in REDACTED], ids=[row[0] for row in REDACTED]
)
def test_redaction_masks(text: str, expected: str) -> None:
    private_key = "-----BEGIN KEY-----\nc3dvcmQx\nc3dvcmQy\n-----END KEY-----\n"
    assert Redactor(["swordfish", private_key, "tab\tbed", "a"])(text) == expected


def test_a_traceback_in_the_log_holds_no_secret() -> None:
    with pytest.raises(ValueError, match="swordfish") as caught:
        raise ValueError(Secret("swordfish").reveal())
    info = (ValueError, caught.value, caught.tb)
    record = logging.LogRecord("n", logging.ERROR, "f", 1, "with %s", ("swordfish",), info)
    text = RedactingFormatter("%(message)s", Redactor(["swordfish"])).format(record)
    assert "ValueError" in text
    assert "swordfish" not in text
