# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares two trees: what a restore brought back with what was there.

Standalone: Python 3.9 or newer and the files beside it; it knows nothing of the product.  Compared are
names, types, contents, modes, owners, modification times (to the nanosecond), symbolic links' targets,
hard links' groups, extended attributes (ACLs among them) and device numbers.  Not looked at: access and
change times, inode flags, how sparse a file is.

Before it compares anything it makes a small tree, changes copies of it in each of these ways, and must
report every change and nothing else.  What cannot be compared (without root, or where a file system does
not keep it) is called "not compared", never "identical".

Exit status: 0 identical in all that was compared, 1 different, 2 wrong usage or a failed self-test.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from treecompare.differences import ASPECTS, Comparison, Difference, compare
from treecompare.planted import SelfTest, SelfTestError, self_test

SHOWN_DIFFERENCES = 50
IDENTICAL, DIFFERENT, UNUSABLE = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the self-test, then the comparison; return the exit status."""
    options = _parse(arguments)
    try:
        proof = self_test(options.scratch)
        found = None if options.self_test else compare(options.left, options.right)
    except SelfTestError as error:
        sys.stderr.write(f"self-test failed, nothing was compared: {error}\n")
        return UNUSABLE
    except OSError as error:
        sys.stderr.write(f"not compared: {error}\n")
        return UNUSABLE
    report = _report(options, proof, found)
    if options.json:
        Path(options.json).write_text(json.dumps(report, indent=2) + "\n")
    if not options.quiet:
        _print(report)
    return DIFFERENT if found and found.differences else IDENTICAL


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("left", nargs="?", help="the tree as it was")
    parser.add_argument("right", nargs="?", help="the tree as it came back")
    parser.add_argument("--self-test", action="store_true", help="only the self-test")
    parser.add_argument("--scratch", help="directory for the self-test's small trees; best where RIGHT lies")
    parser.add_argument("--json", help="write the report to this file as well")
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors")
    options = parser.parse_args(arguments)
    if not options.self_test and not (options.left and options.right):
        parser.error("two trees are needed")
    return options


def _report(options: argparse.Namespace, proof: SelfTest, found: Comparison | None) -> dict[str, Any]:
    report: dict[str, Any] = {
        "self_test": {"reported": proof.reported, "not_compared": proof.not_compared},
    }
    if found is not None:
        not_compared = {**proof.not_compared, **found.not_compared}
        report |= {
            "left": options.left,
            "right": options.right,
            "verdict": "different" if found.differences else "identical",
            "aspects": {name: _aspect(found, proof, name) for name in ASPECTS},
            "not_compared": {
                name: why for name, why in not_compared.items() if name != "devices" or _has_devices(found)
            },
            "difference_count": len(found.differences),
            "differences": [_difference(one) for one in found.differences[:SHOWN_DIFFERENCES]],
        }
    return report


def _has_devices(found: Comparison) -> bool:
    return bool(found.compared["devices"]) or "devices" in found.not_compared


def _aspect(found: Comparison, proof: SelfTest, name: str) -> dict[str, object]:
    """What the self-test could not prove to be seen is not called identical."""
    result = found.result(name)
    unproven = result == "identical" and name in proof.not_compared
    return {"result": "not compared" if unproven else result, "compared": found.compared[name]}


def _difference(one: Difference) -> dict[str, str]:
    name = one.name.decode("utf-8", "backslashreplace")
    return {"aspect": one.aspect, "name": name, "left": one.left, "right": one.right}


def _print(report: dict[str, Any]) -> None:
    proof = report["self_test"]
    print(f"self-test: {len(proof['reported'])} planted changes, each reported")
    for name, why in proof["not_compared"].items():
        print(f"self-test: {name} not compared: {why}")
    if "verdict" not in report:
        return
    for name, aspect in report["aspects"].items():
        print(f"  {name:<11} {aspect['result']:<13} {aspect['compared']:>9}")
    for name, why in report["not_compared"].items():
        print(f"not compared: {name}: {why}")
    for one in report["differences"]:
        print(f"different: {one['aspect']}: {one['name']}: {one['left']} | {one['right']}")
    left_out = report["difference_count"] - len(report["differences"])
    if left_out:
        print(f"… and {left_out} more")
    print(f"{report['verdict']}: {report['left']} | {report['right']}")


if __name__ == "__main__":
    sys.exit(main())
