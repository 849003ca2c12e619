# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a storage sends becomes a value or the error that callers expect, in bounded time and memory."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import sys
import time
from collections.abc import Callable, Iterator
from types import CodeType, FrameType, FunctionType
from typing import TYPE_CHECKING

import pytest
from format_parsers import FORMAT_PARSERS
from hostile_bytes import Parser, UnboundedError, torture, try_on
from hypothesis import strategies as st
from storage_parsers import STORAGE_PARSERS

import papi_backup.engine.format
import papi_backup.engine.storage

if TYPE_CHECKING:
    from checks.sampling import Sample

PARSERS = (*FORMAT_PARSERS, *STORAGE_PARSERS)
each = pytest.mark.parametrize("parser", PARSERS, ids=[parser.name for parser in PARSERS])
TAKES_BYTES = re.compile(
    "(decode|parse|split|unescape|decompress|load|open_sealed|open_backup|open_manifest|root_of|feed"
    "|read_directory|uint|string|view|attributes|status|names|space|limits|paths_to_bytes|check_name|check_path)"
)
NO_PARSERS = {
    "sftp_wire.uint64": "writes",
    "ssh_connect.load_private_key": "reads the operator's own key",
    "ssh_bounds.Unheard.feed": "forgets what it gets",
}
"""Functions that are named like parsers and that no honest bytes come to, and why each is none."""


@each
def test_hostile_bytes_become_a_value_or_the_error_that_callers_expect(
    parser: Parser, sample: Sample
) -> None:
    torture(parser, sample.seed, sample.number(25, 1000))


@each
def test_the_bytes_that_hostile_ones_are_made_of_are_taken(parser: Parser) -> None:
    for honest in parser.honest:
        parser.parse(honest)


def test_no_parser_of_the_engine_is_missing() -> None:
    run = set(_code_run_by_the_honest())
    assert {name for name, code in _named_like_parsers() if code not in run} == NO_PARSERS.keys()


@pytest.mark.parametrize(
    ("parse", "error"),
    [
        (lambda data: {}[data], KeyError),
        (lambda data: bytes((40 << 20) + len(data)), UnboundedError),
        (lambda data: data.decode("ascii"), UnicodeDecodeError),
    ],
    ids=["another error", "too much memory", "an error of Python's own"],
)
def test_a_parser_that_breaks_its_word_is_found(
    parse: Callable[[bytes], object], error: type[Exception]
) -> None:
    broken = Parser("broken", parse, (b"a",), st.binary(), (OSError,))
    with pytest.raises(error):
        torture(broken, "any", 100)


def test_an_endless_parser_is_found() -> None:
    def slow(data: bytes) -> None:
        end = time.thread_time() + 0.1
        while time.thread_time() < end:
            pass

    with pytest.raises(UnboundedError, match="worked for"):
        try_on(Parser("slow", slow, (b"a",), st.binary(), (), most_seconds=0.05), b"a")


def _code_run_by_the_honest() -> Iterator[CodeType]:
    run: set[CodeType] = set()

    def note(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call":
            run.add(frame.f_code)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        for parser in PARSERS:
            for honest in parser.honest:
                parser.parse(honest)
    finally:
        sys.setprofile(before)
    yield from run


def _named_like_parsers() -> Iterator[tuple[str, CodeType]]:
    """Yield the public functions and methods of the rooms that read what storages send."""
    names = ["papi_backup.engine.crypto", "papi_backup.engine.compression", "papi_backup.engine.opened"]
    for room in (papi_backup.engine.format, papi_backup.engine.storage):
        names += [module.name for module in pkgutil.iter_modules(room.__path__, f"{room.__name__}.")]
    for name in names:
        module = importlib.import_module(name)
        short = name.removeprefix("papi_backup.engine.").removeprefix("storage.")
        for owner, holder in [(short, module), *_classes(module, short)]:
            for member, value in vars(holder).items():
                if isinstance(value, FunctionType) and value.__module__ == name and TAKES_BYTES.match(member):
                    yield f"{owner}.{member}", value.__code__


def _classes(module: object, short: str) -> Iterator[tuple[str, type]]:
    for name, value in inspect.getmembers(module, inspect.isclass):
        if value.__module__ == getattr(module, "__name__", "") and not getattr(value, "_is_protocol", False):
            yield f"{short}.{name}", value
