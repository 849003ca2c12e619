# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Part of a backup: what a selection takes, and what it costs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from restoring import RestoringHost

from papi_backup.engine.format.entries import walk_key
from papi_backup.engine.restore.select import Selector
from papi_backup.model.errors import InvalidParameterError, NoSuchEntityError

FILES = (
    "etc/hosts",
    "etc/nginx/nginx.conf",
    "etc/nginx/sites/a.conf",
    "etc/nginx-old/x",
    "srv/a.conf",
    "srv/[1]*",
)

SELECTIONS = [
    (("etc/hosts",), {"etc/hosts"}),
    (("/etc/hosts",), {"etc/hosts"}),
    (("/etc/nginx",), {"etc/nginx/nginx.conf", "etc/nginx/sites/a.conf"}),
    (("/etc/nginx/",), {"etc/nginx/nginx.conf", "etc/nginx/sites/a.conf"}),
    (("/etc/*",), {"etc/hosts", "etc/nginx/nginx.conf", "etc/nginx/sites/a.conf", "etc/nginx-old/x"}),
    (("/etc/*/*.conf",), {"etc/nginx/nginx.conf"}),
    (("/etc/**/*.conf",), {"etc/nginx/nginx.conf", "etc/nginx/sites/a.conf"}),
    (("*.conf",), {"etc/nginx/nginx.conf", "etc/nginx/sites/a.conf", "srv/a.conf"}),
    (("/srv/[1]*",), {"srv/[1]*"}),
    (("/srv/?.conf", "etc/hosts"), {"srv/a.conf", "etc/hosts"}),
    (("**",), set(FILES)),
    (("/",), set(FILES)),
]


@pytest.mark.parametrize(("include", "taken"), SELECTIONS, ids=lambda value: " ".join(sorted(value)))
def test_a_selection_takes(include: tuple[str, ...], taken: set[str]) -> None:
    selector = Selector(include)
    assert {name for name in FILES if selector.selects(name.encode())} == taken
    selector.require_all_matched()


@pytest.mark.parametrize("pattern", ["", "../etc", "/etc/../srv", "a\0b"])
def test_a_selection_that_is_no_path_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidParameterError) as caught:
        Selector((pattern,))
    assert caught.value.parameter == "include"


names = st.text("abB*-.[]", min_size=1, max_size=3).filter(lambda name: name not in (".", ".."))
paths = st.lists(names, min_size=1, max_size=4).map("/".join)


@given(st.lists(paths, min_size=1, max_size=3), st.lists(paths, min_size=1, max_size=30))
def test_no_page_that_holds_something_selected_is_passed_over(include: list[str], listed: list[str]) -> None:
    selector = Selector(tuple(f"/{pattern}" for pattern in include))
    ordered = sorted({name.encode() for name in listed}, key=walk_key)
    for start in range(0, len(ordered), 3):
        page = ordered[start : start + 3]
        following = ordered[start + 3] if start + 3 < len(ordered) else None
        if any(selector.concerns(path, "d") for path in page):
            assert selector.may_match(page[0], following)


def populate(host: RestoringHost) -> None:
    """Thousands of files in two directories, and one big one."""
    for directory in ("many", "others"):
        (host.tree / directory).mkdir()
        for number in range(1500):
            (host.tree / directory / f"{number:04}").write_bytes(b"%d" % number)
    (host.tree / "many").chmod(0o705)
    (host.tree / "big").write_bytes(os.urandom(40 << 20))
    host.back_up()


def test_one_file_comes_with_its_directories_and_little_else_is_fetched(
    host: RestoringHost, out: Path
) -> None:
    populate(host)
    wanted = f"{host.tree}/many/0700"
    result = host.restore(host.order(out, include=(wanted,)))
    there = host.restored(out)
    assert [path for path in there.rglob("*") if path.is_file()] == [there / "many" / "0700"]
    assert (there / "many").stat().st_mode & 0o7777 == 0o705
    assert (there / "many").stat().st_mtime_ns == (host.tree / "many").stat().st_mtime_ns
    assert result.files == 1
    assert result.size_transferred < 8 << 20


def test_part_of_a_large_backup_is_fetched_by_part(host: RestoringHost, out: Path) -> None:
    populate(host)
    result = host.restore(host.order(out, include=("0[0-6]??",)))
    assert result.files == 1400
    assert result.size_transferred < 8 << 20


def test_something_that_is_not_in_the_backup_is_an_error_before_anything_is_written(
    host: RestoringHost, out: Path
) -> None:
    (host.tree / "there").write_bytes(b"")
    host.back_up()
    with pytest.raises(NoSuchEntityError, match="/not/there") as caught:
        host.restore(host.order(out, include=(f"{host.tree}/there", "/not/there")))
    assert caught.value.code == 3007
    assert not out.exists()


def test_a_hard_link_whose_other_names_are_not_selected_has_its_content(
    host: RestoringHost, out: Path
) -> None:
    (host.tree / "first").write_bytes(b"content")
    os.link(host.tree / "first", host.tree / "second")
    host.back_up()
    host.restore(host.order(out, include=(f"{host.tree}/second",)))
    assert (host.restored(out) / "second").read_bytes() == b"content"
    assert not (host.restored(out) / "first").exists()
