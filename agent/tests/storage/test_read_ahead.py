# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads that are under way together bring what single reads bring, whatever happens between."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from realparts.memory_sftp import PERMISSION_DENIED, MemorySftp, Trouble
from realparts.memory_storage import storage_on
from realparts.storage_places import Place

from papi_backup.engine.storage.ahead import begin_get
from papi_backup.engine.storage.protocol import ObjectMissingError, Storage
from papi_backup.engine.storage.sftp_reader import READ_AHEAD, ReadAhead
from papi_backup.engine.storage.sftp_session import SftpSession
from papi_backup.model.errors import InvalidStorageError

MEBIBYTE = 1 << 20
BODIES = {f"data/{number}": random.Random(number).randbytes(40_000 + number) for number in range(3)}
RANGES = st.tuples(st.sampled_from(sorted(BODIES)), st.integers(0, 45_000), st.integers(0, 45_000))


def filled(storage: Storage) -> Storage:
    for name, body in BODIES.items():
        writer = storage.create(name)
        writer.write(body)
        writer.commit()
    return storage


@given(ranges=st.lists(RANGES, max_size=12), order=st.randoms())
def test_results_are_those_of_single_reads_in_whatever_order_they_are_asked(
    ranges: list[tuple[str, int, int]], order: random.Random
) -> None:
    storage = filled(storage_on(MemorySftp()))
    pending = [(one, begin_get(storage, *one)) for one in ranges]
    order.shuffle(pending)
    for (name, offset, length), read in pending:
        assert read.result() == BODIES[name][offset : offset + length]


def test_every_kind_of_storage_reads_ahead_or_does_as_if(place: Place) -> None:
    storage = filled(place.open())
    first, second = begin_get(storage, "data/0", 10, 100), begin_get(storage, "data/1", 0, 50)
    missing = begin_get(storage, "data/none", 0, 10)
    assert second.result() == BODIES["data/1"][:50]
    with pytest.raises(ObjectMissingError):
        missing.result()
    assert first.result() == BODIES["data/0"][10:110]
    assert storage.get("data/2") == BODIES["data/2"]


@pytest.mark.parametrize("lose", ["lose_request", "lose_reply"])
def test_a_connection_lost_at_any_request_is_made_up_for(lose: str) -> None:
    def story(server: MemorySftp) -> None:
        storage = filled(storage_on(server))
        reads = [(name, begin_get(storage, name, 5, 30_000)) for name in [*BODIES, *BODIES]]
        for name, read in reads:
            assert read.result() == BODIES[name][5:30_005]

    undisturbed = MemorySftp()
    story(undisturbed)
    for number in range(undisturbed.requests.index("read") - 3, len(undisturbed.requests) + 1):
        lost = Trouble(number, lose_request=lose == "lose_request", lose_reply=lose == "lose_reply")
        story(MemorySftp(troubles=[lost]))


def test_a_refusal_is_that_of_its_own_read() -> None:
    server = MemorySftp()
    storage = filled(storage_on(server))
    opens = server.requests.count("open")
    server.troubles = [Trouble(opens + 2, "open", status=PERMISSION_DENIED)]
    good, refused, also_good = (begin_get(storage, name, 0, 9) for name in BODIES)
    with pytest.raises(InvalidStorageError):
        refused.result()
    assert (good.result(), also_good.result()) == (BODIES["data/0"][:9], BODIES["data/2"][:9])


def test_a_file_is_opened_once_for_many_ranges_and_few_stay_open() -> None:
    server = MemorySftp()
    storage = storage_on(server)
    for number in range(40):
        writer = storage.create(f"data/{number}")
        writer.write(b"body")
        writer.commit()
    before = server.requests.count("open"), server.requests.count("close")
    for number in range(40):
        for _again in range(3):
            assert begin_get(storage, f"data/{number}", 0, 4).result() == b"body"
    opened, closed = server.requests.count("open") - before[0], server.requests.count("close") - before[1]
    assert opened == 40
    assert opened - closed <= 17


def test_no_more_is_asked_for_than_may_be_on_its_way() -> None:
    server = MemorySftp()
    storage = storage_on(server)
    writer = storage.create("data/large")
    writer.write(bytes(12 * MEBIBYTE))
    writer.commit()
    session = SftpSession(server.channel(), ())
    reads = ReadAhead(session)
    ranges = [reads.begin(b"/srv/base/data/large", start << 20, (start + 4) << 20) for start in (0, 4, 8)]
    first = server.requests.count("read")
    assert len(ranges[0].result()) == 4 * MEBIBYTE
    asked = server.requests.count("read") - first
    assert asked * session.read_size <= 2 * READ_AHEAD + 2 * MEBIBYTE
    assert [len(one.result()) for one in ranges[1:]] == [4 * MEBIBYTE] * 2
