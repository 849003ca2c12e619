# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/start_here.md: each file that it names is there, with the names it says; two lists are whole."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
PAGE = (TOP / "docs/start_here.md").read_text()
AGENT = "agent/src/papi_backup"
FILE = re.compile(r"`((?:agent|plugins|tests|docs|changelogs)/[\w./-]+)`(?: \(((?:`\w+`(?:, )?)+)\))?")
SECTIONS = {
    title: " ".join(body.split())
    for title, body in re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
}
NAMED = [
    (path, tuple(re.findall(r"\w+", names)))
    for body in (" ".join(PAGE.split()),)
    for path, names in FILE.findall(body)
]

TELLS_STORAGES_APART = re.compile(
    r"\bS3Storage\b|\bS3StorageFields\b|\bs3_fields\b|\bS3_STORAGE\b|['\"]s3['\"]|_s3\b"
)
TELLS_JOBS_APART = re.compile(
    r"\bRestoreOrder\b|job_type (?:[!=]?=|IN)|\.restore is (?:not )?None|\benqueue_restore\b"
)


def files_in(section: str) -> set[str]:
    return {path for path, _names in FILE.findall(SECTIONS[section])}


def files_that(pattern: re.Pattern[str], *places: str) -> set[str]:
    return {
        str(path.relative_to(TOP))
        for place in places
        for path in (TOP / place).rglob("*.py")
        if pattern.search(path.read_text())
    }


def test_the_page_has_a_list_for_each_thing() -> None:
    assert SECTIONS.keys() == {"A storage type", "An API method", "A module option", "A kind of job"}
    assert all(len(files_in(section)) >= 5 for section in SECTIONS)


@pytest.mark.parametrize(("path", "names"), sorted(set(NAMED)), ids=str)
def test_what_the_page_names_is_there(path: str, names: tuple[str, ...]) -> None:
    assert (TOP / path).exists()
    text = (TOP / path).read_text() if names else ""
    assert [name for name in names if not re.search(rf"\b{name}\b", text)] == []


def test_every_file_that_tells_types_of_storages_apart_is_in_the_list() -> None:
    found = files_that(TELLS_STORAGES_APART, AGENT, "plugins/modules")
    own = {name for name in found if "/engine/storage/s3" in name}
    assert own
    assert found - own <= files_in("A storage type")


def test_every_file_of_the_jobs_that_tells_kinds_apart_is_in_the_list() -> None:
    found = files_that(
        TELLS_JOBS_APART, f"{AGENT}/jobs", f"{AGENT}/state", f"{AGENT}/services", f"{AGENT}/model"
    )
    assert found - files_in("A kind of job") == set()
