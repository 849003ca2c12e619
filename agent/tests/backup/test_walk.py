# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which paths a backup meets, and in which order."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from papi_backup.engine import beneath
from papi_backup.engine.backup.select import skipped_paths
from papi_backup.engine.backup.sources import check_sources, normalise_sources
from papi_backup.engine.backup.walk import Found, Walker
from papi_backup.engine.format.entries import walk_key
from papi_backup.engine.patterns import Excludes
from papi_backup.model.errors import InvalidParameterError


class Walk:
    """What one walk met, relative to ``base``, and what it warned of."""

    def __init__(self, base: Path, *sources: str, excludes: tuple[bytes, ...] = (), own: str = "") -> None:
        top = os.fsencode(os.path.realpath(base)).lstrip(b"/")
        self.warnings: list[tuple[bytes, str]] = []
        walker = Walker(
            normalise_sources([os.fsencode(base / source) for source in sources]),
            Excludes(excludes),
            skipped_paths(own),
            lambda path, text: self.warnings.append((path[len(top) + 1 :], text)),
        )
        self.found: list[Found] = []
        self.ancestors: list[bytes] = []
        for batch in walker:
            self.found += batch.found
            if batch.ancestors:
                self.ancestors += [path for path, _status in batch.found]
        self.above = [path for path in self.ancestors if not path.startswith(top)]
        self.paths = [path[len(top) :].lstrip(b"/") for path, _status in self.found if path.startswith(top)]


def paths_of(walker: Walker) -> list[bytes]:
    """Return every path that a walk meets."""
    return [path for batch in walker for path, _status in batch.found]


def make(base: Path, *names: str) -> None:
    """Make files, and directories where a name ends in a slash."""
    for name in names:
        place = base / name
        if name.endswith("/"):
            place.mkdir(parents=True, exist_ok=True)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(name)


@pytest.fixture
def deep(tmp_path: Path) -> Iterator[Path]:
    """A directory whose innermost file has a path of more than 4,096 bytes; names of 255 bytes."""
    descriptor = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    for level in range(20):
        name = f"{level:03}" + "d" * 252
        os.mkdir(name, dir_fd=descriptor)
        below = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    os.close(os.open("leaf", os.O_WRONLY | os.O_CREAT, dir_fd=descriptor))
    os.close(descriptor)
    yield tmp_path
    shutil.rmtree(tmp_path)


def test_a_directory_comes_before_what_is_in_it_and_siblings_by_their_bytes(tmp_path: Path) -> None:
    make(tmp_path, "a/b", "a-b", "a/c/d", "a.b", "B", "a0")
    assert Walk(tmp_path, "").paths == [b"", b"B", b"a", b"a/b", b"a/c", b"a/c/d", b"a-b", b"a.b", b"a0"]


_NAME = st.one_of(
    st.binary(min_size=1, max_size=6).map(lambda raw: raw.replace(b"/", b"-").replace(b"\0", b"\n")),
    st.sampled_from([b"-", b"\n", b"\xff\xfe", b"\x01", b"a-b", b"a", b"n" * 255, b"\xc3\xa9", b" "]),
).filter(lambda name: name not in (b".", b".."))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(paths=st.lists(st.lists(_NAME, min_size=1, max_size=3), max_size=12))
def test_the_order_is_that_of_walk_keys_whatever_the_names(paths: list[list[bytes]]) -> None:
    with tempfile.TemporaryDirectory() as place:
        base = os.fsencode(os.path.realpath(place))
        for path in paths:
            os.makedirs(os.path.join(base, *path), exist_ok=True)
        met = Walk(Path(place), "").paths
        assert met == sorted(met, key=walk_key)
        expected = {b"/".join(path[:depth]) for path in paths for depth in range(len(path) + 1)} | {b""}
        assert set(met) == expected
        assert len(met) == len(expected)


def test_the_directories_above_a_source_come_once_each_and_are_marked(tmp_path: Path) -> None:
    make(tmp_path, "s/a/1", "s/b/2", "s/c")
    walk = Walk(tmp_path, "s/a", "s/b")
    top = os.fsencode(os.path.realpath(tmp_path)).lstrip(b"/")
    parents = [b"/".join(top.split(b"/")[:depth]) for depth in range(len(top.split(b"/")))]
    assert walk.above == parents
    assert walk.paths == [b"", b"s", b"s/a", b"s/a/1", b"s/b", b"s/b/2"]
    marked = [path[len(top) + 1 :] for path in walk.ancestors][-2:]
    assert marked == [b"", b"s"]


def test_sources_in_others_and_sources_given_twice_count_once(tmp_path: Path) -> None:
    make(tmp_path, "a/b/c", "a-b")
    walk = Walk(tmp_path, "a/b", "a-b", "a", "a/", "a/../a", "a/b/c")
    assert walk.paths == [b"", b"a", b"a/b", b"a/b/c", b"a-b"]


def test_a_single_file_can_be_a_source(tmp_path: Path) -> None:
    make(tmp_path, "a/b", "a/c")
    assert Walk(tmp_path, "a/b").paths == [b"", b"a", b"a/b"]


def test_symbolic_links_above_a_source_are_resolved(tmp_path: Path) -> None:
    make(tmp_path, "real/a/b")
    (tmp_path / "link").symlink_to("./real/../../" + tmp_path.name + "/real")
    (tmp_path / "other").symlink_to(tmp_path / "link")
    for name in ("link", "other"):
        assert Walk(tmp_path, f"{name}/a").paths == [b"", b"real", b"real/a", b"real/a/b"]


def test_links_that_lead_in_a_circle_lead_nowhere(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(InvalidParameterError, match="does not exist"):
        Walk(tmp_path, "a/c")


def give_away(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let something belong to neither root nor whoever runs the agent."""
    if os.geteuid() == 0:
        os.chown(path, 65534, 65534, follow_symlinks=False)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: path.lstat().st_uid + 1)


@pytest.mark.parametrize(
    "given",
    ["shared/inner/link", "shared/inner", "shared"],
    ids=["the link", "the directory it lies in", "a directory above that"],
)
def test_a_link_above_a_source_that_another_user_may_change_is_refused_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    make(tmp_path, "shared/inner/", "real/a")
    (tmp_path / "shared/inner/link").symlink_to(tmp_path / "real")
    give_away(tmp_path / given, monkeypatch)
    source = tmp_path / "shared/inner/link/a"
    for refuse in (
        lambda: normalise_sources([os.fsencode(source)]),
        lambda: check_sources("etc", [os.fspath(source)]),
    ):
        with pytest.raises(InvalidParameterError, match="Name the directory behind the link") as refused:
            refuse()
        for word in (
            repr(str(source)),
            repr(str(tmp_path / "shared/inner/link")),
            f"uid {(tmp_path / given).lstat().st_uid}",
        ):
            assert word in refused.value.message


def test_an_agent_of_a_user_follows_that_users_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "own/", "real/a")
    (tmp_path / "own/link").symlink_to(tmp_path / "real")
    for path in (tmp_path / "own", tmp_path / "own/link"):
        give_away(path, monkeypatch)
    monkeypatch.setattr(os, "geteuid", lambda: (tmp_path / "own").lstat().st_uid)
    assert normalise_sources([os.fsencode(tmp_path / "own/link/a")]) == (
        os.fsencode(tmp_path / "real/a").lstrip(b"/"),
    )


def test_a_directory_above_a_source_that_became_a_link_since_it_was_named_is_told(tmp_path: Path) -> None:
    make(tmp_path, "a/b", "c", "e/b")
    warnings: list[tuple[bytes, str]] = []
    sources = normalise_sources([os.fsencode(tmp_path / name) for name in ("a/b", "c")])
    walker = Walker(sources, Excludes([]), frozenset(), lambda *word: warnings.append(word))
    shutil.rmtree(tmp_path / "a")
    (tmp_path / "a").symlink_to("e")
    assert paths_of(walker)[-1].endswith(b"/c")
    assert [(path.endswith(b"/a/b"), "was replaced" in text) for path, text in warnings] == [(True, True)]


def test_a_link_itself_is_met_and_never_followed(tmp_path: Path) -> None:
    make(tmp_path, "real/a", "s/")
    (tmp_path / "s/link").symlink_to("../real")
    assert Walk(tmp_path, "s").paths == [b"", b"s", b"s/link"]


def test_the_whole_system_can_be_a_source(tmp_path: Path) -> None:
    assert normalise_sources([b"/", os.fsencode(tmp_path)]) == (b"",)


def test_paths_that_do_not_exist_are_all_named_and_nothing_is_backed_up(tmp_path: Path) -> None:
    make(tmp_path, "a")
    with pytest.raises(InvalidParameterError) as refused:
        normalise_sources([os.fsencode(tmp_path / name) for name in ("a", "b", "c\udcff")])
    assert str(tmp_path / "b") in refused.value.message
    assert "c\\udcff" in refused.value.message
    refused.value.message.encode()  # names that are no text must not make the message unprintable


@pytest.mark.parametrize("path", [b"etc", b"", b"./etc"])
def test_a_relative_path_is_refused(path: bytes) -> None:
    with pytest.raises(InvalidParameterError, match="not absolute"):
        normalise_sources([path])


def test_no_paths_at_all_are_refused() -> None:
    with pytest.raises(InvalidParameterError, match="no paths"):
        normalise_sources([])


def test_what_is_excluded_is_not_entered(tmp_path: Path) -> None:
    make(tmp_path, "keep/x.tmp", "keep/y", "cache/z")
    walk = Walk(tmp_path, "", excludes=(b"*.tmp", b"cache/"))
    assert walk.paths == [b"", b"keep", b"keep/y"]


def test_the_agents_own_state_is_left_out_wherever_it_lies(tmp_path: Path) -> None:
    make(tmp_path, "var/state/db", "var/other")
    (tmp_path / "alias").symlink_to("var/state")
    assert Walk(tmp_path, "", own=str(tmp_path / "alias")).paths == [b"", b"alias", b"var", b"var/other"]


@pytest.mark.parametrize("source", ["state", "state/sub"])
def test_the_agents_own_state_is_left_out_also_when_it_is_a_source(tmp_path: Path, source: str) -> None:
    make(tmp_path, "state/sub/db", "other")
    walk = Walk(tmp_path, source, "other", own=str(tmp_path / "state"))
    assert walk.paths == [b"", b"other"]
    assert walk.warnings == [(source.encode(), "belongs to the agent itself and is not backed up")]


def _refused(number: int) -> Callable[[int, bytes, int], int]:
    def refuse(directory: int, path: bytes, flags: int) -> int:
        raise OSError(number, os.strerror(number))

    return refuse


WAYS_TO_OPEN = {
    "openat2": beneath.openat2,
    "a kernel without it": _refused(errno.ENOSYS),
    "a unit's filter": _refused(errno.EPERM),
}


@pytest.fixture(params=list(WAYS_TO_OPEN))
def _way_to_open(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beneath, "openat2", WAYS_TO_OPEN[request.param])


@pytest.mark.usefixtures("_way_to_open")
def test_no_link_is_followed_by_whatever_means_a_path_is_opened(tmp_path: Path) -> None:
    make(tmp_path, "real/a/b")
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "real/last").symlink_to("a")
    top = os.open(tmp_path, os.O_PATH)
    try:
        for path in (b"link/a", b"link/a/b", b"real/last/b"):
            with pytest.raises(OSError, match=r"symbolic links|Not a directory"):
                beneath.open_beneath(top, path, os.O_RDONLY)
        for path, there in ((b"real/a/b", tmp_path / "real/a/b"), (b"", tmp_path)):
            descriptor = beneath.open_beneath(top, path, os.O_RDONLY)
            assert os.path.samestat(os.fstat(descriptor), there.stat())
            os.close(descriptor)
    finally:
        os.close(top)


@pytest.mark.usefixtures("_way_to_open")
def test_a_path_beyond_what_the_kernel_takes_at_once_is_walked(deep: Path) -> None:
    open_before = len(os.listdir("/proc/self/fd"))
    walk = Walk(deep, "")
    assert len(os.listdir("/proc/self/fd")) == open_before
    assert walk.warnings == []
    assert len(walk.paths[-1]) > 4096
    assert walk.paths[-1].endswith(b"/leaf")


def test_a_source_that_vanished_since_it_was_named_is_told(tmp_path: Path) -> None:
    make(tmp_path, "a/b", "c")
    warnings: list[tuple[bytes, str]] = []
    sources = normalise_sources([os.fsencode(tmp_path / name) for name in ("a/b", "c")])
    walker = Walker(sources, Excludes([]), frozenset(), lambda path, text: warnings.append((path, text)))
    shutil.rmtree(tmp_path / "a")
    assert paths_of(walker)[-1].endswith(b"/c")
    assert [(path.endswith(b"/a/b"), text) for path, text in warnings] == [
        (True, "No such file or directory")
    ]


def test_what_vanishes_during_the_walk_is_no_matter(tmp_path: Path) -> None:
    make(tmp_path, "a/b", "c/d", "e")
    walker = Walker(normalise_sources([os.fsencode(tmp_path)]), Excludes([]), frozenset(), pytest.fail)
    met = []
    for batch in walker:
        met.append(os.path.basename(batch.found[-1][0]))
        if met[-1] == b"a":
            shutil.rmtree(tmp_path / "a")
            shutil.rmtree(tmp_path / "c")
    assert met[-2:] == [b"a", b"e"]


@pytest.mark.parametrize("replaced", [False, True], ids=["removed", "replaced by a link"])
def test_a_directory_that_goes_between_its_entries_is_told_if_something_else_has_its_name(
    tmp_path: Path, replaced: bool
) -> None:
    """What is behind a link that took its name is not looked at in its place."""
    make(tmp_path, "a/b/c", "a/d", "e/d")
    told: list[tuple[bytes, str]] = []
    walker = Walker(
        normalise_sources([os.fsencode(tmp_path)]), Excludes([]), frozenset(), lambda *word: told.append(word)
    )
    met = []
    for batch in walker:
        met.append(os.path.basename(batch.found[-1][0]))
        if met[-1] == b"b":
            shutil.rmtree(tmp_path / "a")
            if replaced:
                (tmp_path / "a").symlink_to("e")
    assert met[-4:] == [b"a", b"b", b"e", b"d"]
    assert [path.endswith(b"/a") and text.startswith("was replaced") for path, text in told] == [
        True
    ] * replaced


def test_sockets_and_fifos_are_met_without_being_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        monkeypatch.chdir(tmp_path)  # a socket's name is at most 108 bytes
        listener.bind("socket")
        assert Walk(tmp_path, "").paths == [b"", b"fifo", b"socket"]
