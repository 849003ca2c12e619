# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ranged reads over neighbouring segments, and whose number a restored file gets."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from papi_backup.engine.format.entries import Owner
from papi_backup.engine.format.references import SegmentRef
from papi_backup.engine.restore.accounts import OwnerNumbers
from papi_backup.engine.restore.fetch import LARGEST_READ, WIDEST_GAP, Key, coalesce

BACKUP = "b" * 16
sizes = st.one_of(st.integers(64, 5000), st.integers(1 << 18, 1 << 22))


@st.composite
def some_segments(draw: st.DrawFn) -> list[Key]:
    """Some of the segments of a few volumes, in the order in which files need them."""
    keys: list[Key] = []
    for kind, volume in itertools.product("id", range(2)):
        offset = 0
        for size in draw(st.lists(sizes, max_size=12)):
            keys.append((kind, SegmentRef(BACKUP, volume, offset, size, size, bytes(32))))
            offset += size
    taken = draw(st.lists(st.sampled_from(keys), unique=True)) if keys else []
    return draw(st.permutations(taken))


def name_of(kind: str, segment: SegmentRef) -> str:
    return f"{kind}/{segment.volume}"


@given(some_segments())
def test_reads_cover_each_segment_once_and_stay_small_and_tight(keys: list[Key]) -> None:
    spans = coalesce(keys, name_of)
    assert sorted(key for span in spans for key in span.keys) == sorted(keys)
    for span in spans:
        last = span.start
        for kind, segment in span.keys:
            assert name_of(kind, segment) == span.volume
            assert last <= segment.offset <= last + WIDEST_GAP
            last = segment.offset + segment.length
        assert last == span.end
        assert span.end - span.start <= LARGEST_READ or len(span.keys) == 1


@given(some_segments())
def test_neighbours_share_a_read_as_far_as_it_may_grow(keys: list[Key]) -> None:
    for one, other in itertools.pairwise(coalesce(keys, name_of)):
        if one.volume == other.volume:
            far = other.start > one.end + WIDEST_GAP
            first = other.keys[0][1]
            assert far or first.offset + first.length - one.start > LARGEST_READ


def known(names: dict[str, int]) -> OwnerNumbers:
    """Return the resolver of a host that knows these names as users and as groups."""
    return OwnerNumbers(user=names.__getitem__, group=names.__getitem__)


def test_an_owner_is_found_by_name_before_number() -> None:
    numbers = known({"web": 2000, "staff": 3000})
    assert numbers.of(Owner(1000, 1001, "web", "staff")) == (2000, 3000)


def test_an_owner_whose_name_this_host_does_not_know_keeps_its_number() -> None:
    numbers = known({"staff": 3000})
    assert numbers.of(Owner(1000, 1001, "web", "staff")) == (1000, 3000)
    assert numbers.of(Owner(1000, 1001, "", "")) == (1000, 1001)


def test_owners_may_keep_their_numbers_whatever_this_host_calls_them() -> None:
    numbers = OwnerNumbers({"web": 2000}.__getitem__, {"staff": 3000}.__getitem__, numeric=True)
    assert numbers.of(Owner(1000, 1001, "web", "staff")) == (1000, 1001)
    assert numbers.moved(Owner(1000, 1001, "web", "staff")) == ""


def test_names_that_have_other_numbers_here_are_told() -> None:
    numbers = known({"web": 2000, "staff": 1001})
    assert numbers.moved(Owner(1000, 1001, "web", "staff")) == "user web is 2000 here and 1000 in the backup"
    assert numbers.moved(Owner(2000, 1001, "web", "staff")) == ""
    assert numbers.moved(Owner(1000, 1001, "", "")) == ""
