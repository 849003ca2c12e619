# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever document a comment, a docstring or a page cites is in the tree, its heading included.

A citation in code is a path from the top, and where helpful headings in quotes behind it:
``docs/design.md, "The commit"``.  Pages link as Markdown does.
"""

from __future__ import annotations

import ast
import io
import re
import subprocess
import tokenize
from functools import cache
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
CODE = (
    "agent",
    "plugins",
    "scripts",
    "benchmarks",
    "tests",
    "roles",
    "extensions",
    "playbooks",
    ".ci",
    "Makefile",
)
PAGES = ("README.md", "CONTRIBUTING.md", "docs", "roles", "agent/README.md", "tests/golden/README.md")
OURS = "https://github.com/papi-backup/papi.backup/"

CITATION = re.compile(r"(docs/[\w./-]*\w)(#[\w-]+)?((?:,? \"[^\"]+\")*)")
"""A path, an anchor, headings."""

DOCUMENT = re.compile(r"(?<![\w/.*<-])([\w][\w./-]*\.(?:md|rst|txt))\b")
SECTION = re.compile(r"\b(?:[Dd]esign|[Ss]pec)? ?\b[Ss]ections? [0-9][0-9.]*")
SPEC = re.compile(r"\(spec\b[^)]*")
PUBLISHED = re.compile(r"(?:RFC [0-9]+|draft-[\w-]+),? [Ss]ections? [0-9][0-9.]*")
"""A section of a document that anybody can find by its name."""

ADDRESS = re.compile(r"https?://\S+")
LINK = re.compile(r"\]\(([^()\s]+)\)")
QUOTED_PATH = re.compile(
    r"`((?:agent|docs|plugins|scripts|benchmarks|tests|roles|playbooks|changelogs)/[\w./-]+)`"
)
DECISION = re.compile(r"\bdecisions? ([0-9]+)\b")


def tracked(*places: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--", *places], cwd=TOP, capture_output=True, check=False
    )
    names = [name for name in listed.stdout.decode().split("\0") if name]
    found = [TOP / name for name in names] or [path for place in places for path in (TOP / place).rglob("*")]
    return [path for path in found if path.is_file() and "releases" not in path.parts]


def relative(path: Path) -> str:
    return str(path.relative_to(TOP))


def prose_of_python(text: str) -> list[str]:
    """Return the comments, those of neighbouring lines as one, and the texts that stand as statements."""
    found = [
        node.value.value
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    ]
    last = -1
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            words = token.string.lstrip("#").strip()
            if token.start[0] == last + 1:
                found[-1] += f" {words}"
            else:
                found.append(words)
            last = token.start[0]
    return found


def prose_of(path: Path) -> list[str]:
    """Return what a file of code says to people."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return []
    if not re.search(r"\.(md|rst|txt)\b|docs/|[Ss]ections? [0-9]", text):
        return []
    if path.suffix == ".py":
        return [" ".join(words.split()) for words in prose_of_python(text)]
    lines = [line.strip().lstrip("#").strip() for line in text.splitlines() if line.lstrip().startswith("#")]
    return [" ".join(lines)]


@cache
def headings(path: Path) -> frozenset[str]:
    """Return the headings of a page as their words, and as the anchors that GitHub makes of them."""
    found = set()
    for line in path.read_text().splitlines():
        if match := re.match(r"#+ (.+)", line):
            words = match[1].replace("`", "").strip()
            found |= {words, "#" + re.sub(r"[^\w -]", "", words.lower()).replace(" ", "-")}
    return frozenset(found)


def missing_citations(words: str) -> list[str]:
    """Return what is cited by its path and is not there."""
    wrong = []
    for match in CITATION.finditer(words):
        page = TOP / match[1]
        if not page.exists():
            wrong.append(match[1])
        elif page.suffix == ".md":
            named = [match[2]] if match[2] else []
            named += re.findall(r"\"([^\"]+)\"", match[3])
            wrong += [f"{match[1]}: {heading}" for heading in named if heading not in headings(page)]
    return wrong


def strange_documents(words: str, near: Path) -> list[str]:
    """Return the documents that are named and in no tree, and sections of nothing."""
    text = ADDRESS.sub("", words)
    named = [name for name in DOCUMENT.findall(text) if not ((TOP / name).exists() or (near / name).exists())]
    return named + SECTION.findall(PUBLISHED.sub("", text)) + SPEC.findall(text)


CODE_FILES = [path for path in tracked(*CODE) if path.suffix not in {".md", ".rst", ".json", ".svg", ".pub"}]
PAGE_FILES = [path for path in tracked(*PAGES) if path.suffix in {".md", ".rst"}]


def test_comments_and_docstrings_cite_what_is_in_the_tree() -> None:
    wrong = {}
    for path in CODE_FILES:
        found = [
            each
            for words in prose_of(path)
            for each in missing_citations(words) + strange_documents(words, path.parent)
        ]
        if found:
            wrong[relative(path)] = found
    assert wrong == {}


def leads_nowhere(page: Path, target: str) -> bool:
    """Return whether a link of a page is to the tree, and to nothing in it."""
    name, _mark, anchor = target.partition("#")
    if name.startswith(OURS):
        there = TOP / re.sub(r"^(?:blob|tree)/main/", "", name.removeprefix(OURS))
    elif "://" in name:
        return False
    else:
        there = page.parent / name if name else page
    return not there.exists() or bool(anchor and f"#{anchor}" not in headings(there))


@pytest.mark.parametrize("page", PAGE_FILES, ids=relative)
def test_pages_lead_to_what_is_in_the_tree(page: Path) -> None:
    text = page.read_text()
    wrong = [target for target in LINK.findall(text) if leads_nowhere(page, target)]
    wrong += [path for path in QUOTED_PATH.findall(text) if not (TOP / path).exists()]
    wrong += missing_citations(text) if page.suffix == ".md" else []
    assert wrong == []


def test_decisions_are_cited_by_numbers_that_exist() -> None:
    numbers = {int(path.name[:4]) for path in (TOP / "docs/decisions").glob("0*.md")}
    cited = {int(number) for page in PAGE_FILES for number in DECISION.findall(page.read_text())}
    assert cited
    assert cited <= numbers


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        ('See docs/design.md, "The commit", and docs/format.md.', []),
        ('docs/format.md, "leaf: files"', []),
        ("docs/hardening.md#limits-of-the-units", []),
        ("RFC 4254, section 5.1; draft-ietf-secsh-filexfer-02, section 6.1", []),
        ("(design section 4)", ["design section 4"]),
        ('(wire.md "Envelope")', ["wire.md"]),
        ("(spec: list_jobs)", ["(spec: list_jobs"]),
        ("docs/desing.md has it", ["docs/desing.md", "docs/desing.md"]),
        ('docs/design.md, "Commit"', ["docs/design.md: Commit"]),
        ("docs/hardening.md#limits", ["docs/hardening.md: #limits"]),
    ],
    ids=str,
)
def test_a_citation_that_leads_nowhere_is_found(words: str, wrong: list[str]) -> None:
    assert missing_citations(words) + strange_documents(words, TOP) == wrong
