# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A process that walks ahead finds what a walk finds; whatever becomes of it, no end is taken for the end."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from papi_backup.engine.backup.sources import normalise_sources
from papi_backup.engine.backup.status import SentStatus, pack, unpack
from papi_backup.engine.backup.walk import Batch, Found, Walker, Warn
from papi_backup.engine.backup.walk_ahead import Walk, WalkAhead
from papi_backup.engine.patterns import Excludes
from papi_backup.model.errors import InternalError, PapiError, TransferError

Told = list[tuple[bytes, str]]


def status_of(inode: int = 1, mtime: int = 0) -> SentStatus:
    return SentStatus(0o100644, inode, 1, 1, 0, 0, 10, mtime, mtime, 0)


def drained(ahead: WalkAhead, warn: Warn = pytest.fail) -> list[Found]:
    """Return all that it finds, and end it."""
    try:
        return [found for batch in ahead.batches(warn) for found in batch.found]
    finally:
        ahead.close()


def members(found: Iterable[Found]) -> list[tuple[bytes, list[SentStatus]]]:
    return [(path, list(unpack(pack([status])))) for path, status in found]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """More entries than one message takes, in directories and out of them; names of any bytes."""
    for number in range(5):
        (tmp_path / f"d{number}" / "inner").mkdir(parents=True)
        for name in range(150):
            (tmp_path / f"d{number}" / f"file {name}").write_bytes(b"x" * name)
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\n\x01")).write_text("odd")
    (tmp_path / "link").symlink_to("nowhere")
    os.mkfifo(tmp_path / "fifo")
    os.link(tmp_path / "d0" / "file 1", tmp_path / "name of the same")
    return tmp_path


@pytest.fixture
def walk(tree: Path) -> Walk:
    sources = normalise_sources([os.fsencode(tree)])
    return lambda warn: Walker(sources, Excludes([b"inner"]), frozenset(), warn)


def test_it_finds_what_a_walk_finds_in_the_same_order(walk: Walk, tree: Path) -> None:
    plain = [found for batch in walk(pytest.fail) for found in batch.found]
    ahead = drained(WalkAhead(walk))
    assert len(plain) > 700
    assert [path for path, _status in ahead] == [path for path, _status in plain]
    assert members(inside(tree, ahead)) == members(inside(tree, plain))


def inside(tree: Path, found: Iterable[Found]) -> list[Found]:
    """Leave out the directories above the tree: any process may change one of them between two walks."""
    own = os.fsencode(tree).lstrip(b"/")
    return [(path, status) for path, status in found if path == own or path.startswith(own + b"/")]


def test_what_is_above_the_sources_is_told_apart(walk: Walk) -> None:
    ahead = WalkAhead(walk)
    above = [path for batch in ahead.batches(pytest.fail) if batch.ancestors for path, _status in batch.found]
    ahead.close()
    plain = [path for batch in walk(pytest.fail) if batch.ancestors for path, _status in batch.found]
    assert above == plain
    assert above[0] == b""


def test_it_tells_what_could_not_be_looked_at() -> None:
    def walk(warn: Warn) -> Iterator[Batch]:
        warn(b"etc/\xff", "Permission denied")
        yield Batch([(b"etc", status_of())])

    told: Told = []
    assert [path for path, _status in drained(WalkAhead(walk), lambda *word: told.append(word))] == [b"etc"]
    assert told == [(b"etc/\xff", "Permission denied")]


def fails_with(error: Exception) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    ("end", "error", "text"),
    [
        (fails_with(TransferError("The source is gone.")), TransferError, "The source is gone."),
        (fails_with(ValueError("secret text")), InternalError, "The walking process failed: ValueError."),
        (lambda: os._exit(3), InternalError, "exit status 3"),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), InternalError, "exit status -9"),
    ],
    ids=["an error of the product", "a fault of its own", "an early end", "killed"],
)
def test_a_walk_that_ends_before_its_end_is_an_error(
    end: Callable[[], None], error: type[PapiError], text: str
) -> None:
    def walk(warn: Warn) -> Iterator[Batch]:
        del warn
        yield Batch([(b"a", status_of(number)) for number in range(300)])
        yield Batch([(b"b", status_of())])
        end()

    seen: list[Found] = []
    ahead = WalkAhead(walk)
    with pytest.raises(error) as raised:
        for batch in ahead.batches(pytest.fail):
            seen += batch.found
    ahead.close()
    assert text in str(raised.value)
    assert len(seen) in (0, 300, 301)


def endless(warn: Warn) -> Iterator[Batch]:
    del warn
    while True:
        yield Batch([(b"a" * 1000, status_of(number)) for number in range(100)])


def test_it_waits_while_nobody_takes_what_it_found_and_ends_when_it_is_closed() -> None:
    ahead = WalkAhead(endless)
    time.sleep(0.3)
    began = time.monotonic()
    ahead.close()
    ahead.close()
    assert time.monotonic() - began < 5


def test_an_end_in_the_middle_of_a_message_is_an_error_too(tmp_path: Path) -> None:
    def walk(warn: Warn) -> Iterator[Batch]:
        del warn
        (tmp_path / "walking").write_text(str(os.getpid()))
        yield Batch([(b"a" * (4 << 20), status_of())])

    ahead = WalkAhead(walk)
    time.sleep(0.5)
    os.kill(int((tmp_path / "walking").read_text()), signal.SIGKILL)
    with pytest.raises(InternalError, match="exit status -9"):
        drained(ahead)


def test_sigterm_to_the_whole_group_leaves_the_end_to_the_job(tmp_path: Path) -> None:
    """A process that died first would look like the failure of the job."""

    def walk(warn: Warn) -> Iterator[Batch]:
        del warn
        (tmp_path / "walking").write_text(str(os.getpid()))
        while not (tmp_path / "go on").exists():
            time.sleep(0.01)
        yield Batch([(b"a", status_of())])

    ahead = WalkAhead(walk)
    while not (tmp_path / "walking").exists() or not (tmp_path / "walking").read_text():
        time.sleep(0.01)
    os.kill(int((tmp_path / "walking").read_text()), signal.SIGTERM)
    (tmp_path / "go on").touch()
    assert [path for path, _status in drained(ahead)] == [b"a"]


numbers = st.integers(0, (1 << 64) - 1)
times = st.integers(-(1 << 70), 1 << 70)
statuses = st.builds(
    SentStatus,
    numbers,
    numbers,
    numbers,
    numbers,
    numbers,
    numbers,
    st.integers(0, (1 << 63) - 1),
    times,
    times,
    numbers,
)


@given(st.lists(statuses, max_size=5))
def test_a_status_crosses_as_it_is_of_whatever_time(found: list[SentStatus]) -> None:
    assert list(unpack(pack(found))) == found
