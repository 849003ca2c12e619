# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole packets come out of a channel, however what arrives is cut; nothing is lost or waits in vain."""

from __future__ import annotations

import itertools
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from papi_backup.engine.storage.lean_paramiko import paramiko
from papi_backup.engine.storage.sftp_wire import LARGEST_PACKET
from papi_backup.engine.storage.whole_packets import MOST_WHOLE, WholePackets

PipeTimeout = paramiko.buffered_pipe.PipeTimeout
AMPLE = 1 << 20


def packet(body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + body


def ready(pipe: WholePackets) -> list[bytes]:
    """Return the packets that can be read at once."""
    found = []
    while pipe.read_ready():
        found.append(pipe.read(AMPLE, 0.0))
    return found


@given(
    bodies=st.lists(st.binary(min_size=1, max_size=40), max_size=8),
    cuts=st.lists(st.integers(0, 400), max_size=12),
    rest=st.integers(0, 3),
)
def test_packets_come_out_as_they_were_sent_however_they_are_cut(
    bodies: list[bytes], cuts: list[int], rest: int
) -> None:
    packets = [packet(body) for body in bodies]
    stream = b"".join(packets) + b"\0" * rest
    places = sorted({min(cut, len(stream)) for cut in cuts} | {0, len(stream)})
    pipe, found = WholePackets(), []
    for start, end in itertools.pairwise(places):
        pipe.feed(stream[start:end])
        found += ready(pipe)
        assert len(pipe) == end - len(b"".join(found))
    assert found == packets
    pipe.close()
    assert pipe.read(AMPLE, 0.0) == b"\0" * rest
    assert pipe.read(AMPLE, 0.0) == b""


def test_a_reader_that_takes_little_gets_a_packet_in_parts() -> None:
    pipe = WholePackets()
    pipe.feed(packet(b"abcdef") + packet(b"g"))
    assert [pipe.read(4, 0.0) for _turn in range(3)] == [b"\0\0\0\6", b"abcd", b"ef"]
    assert pipe.read(AMPLE, 0.0) == packet(b"g")


def test_a_large_packet_comes_out_in_parts_before_it_is_whole() -> None:
    whole = packet(bytes(range(256)) * (3 << 12)) + packet(b"next")
    pipe, found = WholePackets(), []
    for start in range(0, len(whole), 100_000):
        pipe.feed(whole[start : start + 100_000])
        found += ready(pipe)
        assert len(pipe) < MOST_WHOLE
    assert b"".join(found) == whole
    assert found[-1] == packet(b"next")


def test_what_announces_more_than_any_packet_has_is_handed_on_as_it_came() -> None:
    pipe = WholePackets()
    nonsense = LARGEST_PACKET.to_bytes(4, "big") + b"nonsense"
    pipe.feed(nonsense)
    assert pipe.read(AMPLE, 0.0) == nonsense


def test_a_reader_waits_no_longer_than_it_was_told() -> None:
    pipe = WholePackets()
    pipe.feed(packet(b"abc")[:5])
    begun = time.monotonic()
    with pytest.raises(PipeTimeout):
        pipe.read(AMPLE, 0.1)
    assert 0.1 <= time.monotonic() - begun < 5


def test_a_packet_that_comes_slowly_is_waited_for_as_long_as_it_comes() -> None:
    pipe = WholePackets()
    whole = packet(b"abcdefgh")

    def feed() -> None:
        for byte in whole:
            time.sleep(0.1)
            pipe.feed(bytes([byte]))

    thread = threading.Thread(target=feed)
    thread.start()
    assert pipe.read(AMPLE, 1.0) == whole
    thread.join()


def test_a_reader_that_waits_is_woken_by_the_end() -> None:
    pipe = WholePackets()
    timer = threading.Timer(0.1, pipe.close)
    timer.start()
    assert pipe.read(AMPLE) == b""
    timer.join()
