# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a gate found, and the file in which the runner reads it."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path


class GateError(Exception):
    """A gate cannot be asked; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Tally:
    """How many things passed, and what failed, in words."""

    passed: int
    failures: tuple[str, ...] = ()

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.passed + other.passed, self.failures + other.failures)


def write_junit(path: Path, name: str, tally: Tally) -> None:
    """Write the counts in the form that pytest's have."""
    failed = len(tally.failures)
    suites = ET.Element("testsuites")
    suite = ET.SubElement(
        suites, "testsuite", name=name, tests=str(tally.passed + failed), failures=str(failed)
    )
    for failure in tally.failures:
        case = ET.SubElement(suite, "testcase", classname=name, name=failure[:200])
        ET.SubElement(case, "failure", message=failure)
    ET.ElementTree(suites).write(path, encoding="utf-8", xml_declaration=True)


def read_junit(directory: Path) -> Tally:
    """Add up the files that another tool wrote.  A skipped test counts as failed: nothing is skipped here."""
    passed, failures = 0, []
    for path in sorted(directory.glob("*.xml")):
        for case in ET.parse(path).iter("testcase"):  # noqa: S314 -- a tool wrote it a moment ago
            troubles = [child.tag for child in case if child.tag in {"failure", "error", "skipped"}]
            if troubles:
                failures.append(f"{path.stem}: {case.get('name')} ({troubles[0]})")
            else:
                passed += 1
    return Tally(passed, tuple(failures))
