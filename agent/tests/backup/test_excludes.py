# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What exclude patterns leave out: every rule that their documentation gives."""

from __future__ import annotations

import fnmatch
import re
import time

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from papi_backup.engine.patterns import Excludes
from papi_backup.model.errors import InvalidParameterError


def leaves_out(pattern: bytes, path: bytes, *, directory: bool = False) -> bool:
    return Excludes([pattern]).match(path, directory=directory)


@pytest.mark.parametrize(
    ("pattern", "out", "kept"),
    [
        (b"*.tmp", [b"a.tmp", b"srv/a.tmp", b"srv/b/.tmp"], [b"a.tmpx", b"a.tmp/b", b"tmp"]),
        (b"core", [b"core", b"home/u/core"], [b"score", b"core.1", b"core/dump"]),
        (b"/srv/cache/**", [b"srv/cache/a", b"srv/cache/a/b"], [b"srv/cache", b"x/srv/cache/a"]),
        (b"/srv/cache", [b"srv/cache"], [b"srv/cache/a", b"mnt/srv/cache", b"srv/cached"]),
        (b"/srv/*/old", [b"srv/a/old"], [b"srv/old", b"srv/a/b/old"]),
        (b"/srv/**/old", [b"srv/old", b"srv/a/old", b"srv/a/b/old"], [b"srv/old/a", b"srv/bold", b"old"]),
        (b"/**/old", [b"old", b"a/b/old"], [b"a/bold"]),
        (b"**", [b"a", b"a/b"], []),
        (
            b"cache/old",
            [b"cache/old", b"srv/cache/old"],
            [b"srv/mycache/old", b"cache/old/a", b"cache/a/old"],
        ),
        (b"a/**/b", [b"a/b", b"x/a/b", b"x/a/y/z/b"], [b"xa/b", b"a/xb"]),
        (b"?.log", [b"a.log", b"x/b.log"], [b"ab.log", b".log"]),
        (b"a?b", [b"a.b"], [b"a/b", b"ab"]),
        (b"[ab].log", [b"a.log", b"x/b.log"], [b"c.log", b"ab.log"]),
        (b"[a-c]1", [b"b1"], [b"d1", b"-1"]),
        (b"[!a]1", [b"b1", b"!1"], [b"a1"]),
        (b"[^a]1", [b"b1"], [b"a1"]),
        (b"x[!a]y", [b"xby"], [b"x/y", b"xay"]),
        (b"[]a]1", [b"]1", b"a1"], [b"b1", b"[1"]),
        (b"[!]a]1", [b"b1"], [b"]1", b"a1"]),
        (b"[a^]1", [b"^1", b"a1"], [b"b1"]),
        (b"[[]1", [b"[1"], [b"]1", b"1"]),
        (b"[a-]1", [b"a1", b"-1"], [b"b1"]),
        (b"[\\]1", [b"\\1"], [b"1"]),
        (b"[a&&b]1", [b"&1", b"a1"], [b"c1"]),
        (b"[1", [b"[1"], [b"1"]),
        (b"[!1", [b"[!1"], [b"2"]),
        (b"[]1", [b"[]1"], [b"1"]),
        (b"a.b", [b"a.b"], [b"axb"]),
        (b"(a|b)+$", [b"(a|b)+$"], [b"a", b"ab"]),
        (b"a\nb*", [b"a\nb", b"a\nb\nc"], [b"a"]),
        (b"\xff*", [b"\xff", b"x/\xff\xfe"], [b"\xfe"]),
        (b"a//b", [b"a/b"], [b"ab"]),
    ],
)
def test_a_pattern_leaves_out_what_its_rule_says_and_nothing_else(
    pattern: bytes, out: list[bytes], kept: list[bytes]
) -> None:
    assert [path for path in out if not leaves_out(pattern, path)] == []
    assert [path for path in kept if leaves_out(pattern, path)] == []


@pytest.mark.parametrize("pattern", [b"build/", b"/srv/build/", b"srv/build/", b"b*d/", b"build//"])
def test_a_trailing_slash_means_directories_only(pattern: bytes) -> None:
    assert leaves_out(pattern, b"srv/build", directory=True)
    assert not leaves_out(pattern, b"srv/build", directory=False)


def test_without_a_trailing_slash_directories_are_left_out_as_well() -> None:
    assert leaves_out(b"build", b"srv/build", directory=True)


def test_any_of_several_patterns_suffices() -> None:
    excludes = Excludes([b"*.tmp", b"cache/", b"/proc/**"])
    assert excludes.match(b"a/b.tmp", directory=False)
    assert excludes.match(b"a/cache", directory=True)
    assert excludes.match(b"proc/1", directory=True)
    assert not excludes.match(b"a/cache", directory=False)


def test_without_patterns_everything_is_kept() -> None:
    assert not Excludes([]).match(b"a", directory=True)


@pytest.mark.parametrize("pattern", [b"", b"/", b"//"])
def test_a_pattern_that_can_match_nothing_is_refused(pattern: bytes) -> None:
    with pytest.raises(InvalidParameterError, match="matches nothing"):
        Excludes([pattern])


def test_a_range_that_runs_backwards_is_refused_by_name() -> None:
    with pytest.raises(InvalidParameterError, match=re.escape("[z-a]")):
        Excludes([b"*.log", b"x[z-a]"])


@given(st.lists(st.binary(max_size=12), max_size=3), st.binary(max_size=12))
def test_any_bytes_are_a_pattern_or_are_refused_as_a_parameter(patterns: list[bytes], path: bytes) -> None:
    try:
        Excludes(patterns).match(path, directory=True)
    except InvalidParameterError as error:
        assert error.parameter == "excludes"


_NAMES = st.text("ab.*?[]!-", min_size=1, max_size=6)


@given(
    _NAMES.filter(lambda pattern: "**" not in pattern and "^" not in pattern), st.text("ab.-]!", max_size=4)
)
def test_a_single_name_matches_as_the_shell_would(pattern: str, name: str) -> None:
    assume("[" not in pattern or "-" not in pattern)  # backwards ranges are refused here, match nothing there
    assert leaves_out(pattern.encode(), name.encode()) == fnmatch.fnmatchcase(name, pattern)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        (b"*a*a*a*a*a*a*a*a*b", b"a" * 200),
        (b"/" + b"**/a/" * 8 + b"b", b"a/" * 100 + b"c"),
        (b"/**/*a*a*a*a/**/*a*a*a*b", b"a/" * 60 + b"a" * 100),
        (b"?*?*?*?*?*?*?*b", b"a" * 200),
        (b"[a]*[a]*[a]*[a]*[a]*b/", b"x/" + b"a" * 200),
    ],
)
def test_many_stars_take_no_longer_than_few(pattern: bytes, path: bytes) -> None:
    """A second for what takes microseconds: with ten thousand paths each of these once took hours."""
    excludes = Excludes([pattern])
    began = time.process_time()
    for _unused in range(1000):
        assert not excludes.match(path, directory=True)
    assert time.process_time() - began < 1.0


def matches_slowly(pattern: list[str], path: list[str]) -> bool:
    """The rules of a pattern with a leading slash, as they are written, without a thought for time."""
    if not pattern:
        return not path
    if pattern[0] != "**":
        named = bool(path) and fnmatch.fnmatchcase(path[0], pattern[0])
        return named and matches_slowly(pattern[1:], path[1:])
    if len(pattern) == 1:
        return bool(path)
    return any(matches_slowly(pattern[1:], path[start:]) for start in range(len(path) + 1))


@given(
    st.lists(
        st.sampled_from(["**", "*", "a", "b", "a*", "*b", "*a*b*", "?", "a*a", "?*a"]), min_size=1, max_size=5
    ),
    st.lists(st.text("ab", min_size=1, max_size=4), min_size=1, max_size=5),
)
def test_a_pattern_of_many_stars_matches_as_its_rules_say(pattern: list[str], path: list[str]) -> None:
    whole, name = "/" + "/".join(pattern), "/".join(path).encode()
    assert leaves_out(whole.encode(), name) == matches_slowly(pattern, path)
