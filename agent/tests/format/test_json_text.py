# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON of the format: whatever a page holds is written in ASCII and read back, and by any other reader."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from papi_backup.engine.format.entries import to_text
from papi_backup.engine.format.json_text import decode, encode

texts = st.one_of(st.text(), st.binary().map(to_text))
values = st.recursive(
    st.one_of(st.integers(0, (1 << 64) - 1), st.booleans(), st.none(), texts),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(texts, inner)),
)


@given(st.dictionaries(texts, values))
def test_what_is_written_is_ascii_without_spaces_and_read_back_by_any_reader(
    document: dict[str, object],
) -> None:
    encoded = encode(document)
    assert encoded.isascii()
    assert decode(encoded) == document
    assert json.loads(encoded) == document
    assert len(encoded) <= len(json.dumps(document, separators=(",", ":")))


@given(st.dictionaries(texts, values))
def test_what_an_earlier_release_wrote_is_read(document: dict[str, object]) -> None:
    assert decode(json.dumps(document).encode()) == document


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[1,]", b"01", b"'a'", b'"\t"', b"{} {}", b"1" * 5000], ids=lambda data: data[:8]
)
def test_what_is_no_json_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode(data)


def test_what_is_nested_too_deep_is_refused() -> None:
    with pytest.raises(RecursionError):
        decode(b"[" * 100_000)
