# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON of the format: whatever a page holds is written in ASCII and read back, and by any other reader."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from papi_backup.engine.format.entries import to_text
from papi_backup.engine.format.json_text import decode, decode_exactly, encode

texts = st.one_of(st.text(), st.binary().map(to_text))
values = st.recursive(
    st.one_of(st.integers(0, (1 << 64) - 1), st.booleans(), st.none(), texts),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(texts, inner)),
    max_leaves=20,
)
documents = st.dictionaries(texts, values, max_size=8)


@settings(deadline=None)
@given(documents)
def test_what_is_written_is_ascii_without_spaces_and_read_back_by_any_reader(
    document: dict[str, object],
) -> None:
    encoded = encode(document)
    assert encoded.isascii()
    assert decode(encoded) == document
    assert json.loads(encoded) == document
    assert len(encoded) <= len(json.dumps(document, separators=(",", ":")))


@settings(deadline=None)
@given(documents)
def test_what_an_earlier_release_wrote_is_read(document: dict[str, object]) -> None:
    assert decode(json.dumps(document).encode()) == document


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"{", b"[1,]", b"01", b"'a'", b'"\t"', b"{} {}", b"1" * 5000),
        *("{}".encode(encoding) for encoding in ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")),
    ],
    ids=lambda data: data[:8],
)
@pytest.mark.parametrize("parse", [decode, decode_exactly])
def test_what_is_no_json_is_refused(parse: Callable[[bytes], object], data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(data)


def test_what_is_nested_too_deep_is_refused() -> None:
    with pytest.raises(RecursionError):
        decode(b"[" * 100_000)
