# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a parser is held to, and the hostile bytes that it is tried with."""

from __future__ import annotations

import contextlib
import json
import struct
import time
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from format_strategies import mutations
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from papi_backup.engine.format.manifest import LARGEST_BODY

MOST_MEMORY = LARGEST_BODY + (2 << 20)
"""Bytes that any parser may take: the longest text that a frame may declare, and 2 MiB for Python's own."""
MEMORY_FOR_A_BYTE = 256
"""Bytes that each byte of the input may take besides: a volume of two characters becomes a tuple."""
MOST_SECONDS = 2.0
"""Seconds of this thread's own work for one input, which has some thousand bytes."""
_LONGEST = 1 << 15
_NUMBERS = (
    0,
    1,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0xFFFF,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
    1 << 63,
    (1 << 64) - 1,
)


@dataclass(frozen=True, slots=True)
class Parser:
    """One way by which a storage's bytes come in.

    ``honest`` are bytes that it takes, ``garbage`` bytes of the right shape with the wrong content;
    ``refuses`` are the errors that its callers expect.
    """

    name: str
    parse: Callable[[bytes], object]
    honest: tuple[bytes, ...]
    garbage: st.SearchStrategy[bytes]
    refuses: tuple[type[Exception], ...]
    most_memory: int = MOST_MEMORY
    most_seconds: float = MOST_SECONDS


class UnboundedError(AssertionError):
    """A parser took more time or memory than its input allows."""


def try_on(parser: Parser, data: bytes) -> None:
    """Parse hostile bytes.  Whatever is no value and no error of ``refuses`` comes through.

    Raises UnboundedError for too much time or memory.
    """
    tracemalloc.start()
    try:
        begun = time.thread_time()
        with contextlib.suppress(*parser.refuses):
            parser.parse(data)
        seconds = time.thread_time() - begun
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    if peak > parser.most_memory + MEMORY_FOR_A_BYTE * len(data):
        raise UnboundedError(f"{parser.name} took {peak} bytes of memory for {len(data)} bytes")
    if seconds > parser.most_seconds:
        raise UnboundedError(f"{parser.name} worked for {seconds:.1f} s on {len(data)} bytes")


def torture(parser: Parser, seeded: str, examples: int) -> int:
    """Try ``examples`` inputs that the seed chooses, and return how many were tried.

    Raises what the parser raised for the smallest input that hypothesis finds.
    """
    tried = 0

    @seed(seeded)
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
        print_blob=False,
    )
    @given(hostile_bytes(parser))
    def holds(data: bytes) -> None:
        nonlocal tried
        tried += 1
        try_on(parser, data)

    holds()
    return tried


def hostile_bytes(parser: Parser) -> st.SearchStrategy[bytes]:
    """Return arbitrary bytes, altered honest ones, garbage and altered garbage."""
    honest = st.sampled_from(parser.honest)
    return st.one_of(
        st.binary(max_size=300),
        altered(honest),
        altered(honest),
        parser.garbage,
        altered(parser.garbage),
    )


@st.composite
def altered(draw: st.DrawFn, source: st.SearchStrategy[bytes]) -> bytes:
    """Bytes with up to four bits, stretches or numbers changed."""
    data = draw(source)
    for _change in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(data)))
        data = _changed(draw, data, place)[:_LONGEST]
    return data


def _changed(draw: st.DrawFn, data: bytes, place: int) -> bytes:
    kind = draw(st.sampled_from(("flip", "cut", "drop", "insert", "repeat", "number")))
    before, behind = data[:place], data[place:]
    length = draw(st.integers(0, 64))
    if kind == "flip" and behind:
        return before + bytes([behind[0] ^ 1 << draw(st.integers(0, 7))]) + behind[1:]
    if kind in {"cut", "drop"}:
        return before + (behind[length:] if kind == "drop" else b"")
    if kind == "repeat":
        return before + behind[:length] * draw(st.integers(2, 40)) + behind[length:]
    if kind == "number":
        number = draw(st.sampled_from(_NUMBERS))
        form = draw(st.sampled_from(("B", ">H", ">I", ">Q", "digits")))
        if form == "digits":
            return before + str(number).encode() + behind[draw(st.integers(0, 3)) :]
        size = struct.calcsize(form)
        return before + struct.pack(form, number & ((1 << 8 * size) - 1)) + behind[size:]
    return before + draw(st.binary(min_size=1, max_size=16)) + behind


def altered_json(honest: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """JSON documents with up to three values replaced, removed or doubled."""
    documents = st.sampled_from([json.loads(raw) for raw in honest])
    once = documents.flatmap(mutations)
    again = once.flatmap(lambda document: mutations(document) if document else st.just(document))
    return st.one_of(once, again).map(lambda document: json.dumps(document).encode())
