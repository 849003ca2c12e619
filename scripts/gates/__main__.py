# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks one gate: ``python -m gates NAME [--junitxml FILE]``."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from gates import importer, linters, planted_secrets
from gates.ansible_test import AnsibleTest
from gates.tally import GateError, Tally, write_junit

GATES: Mapping[str, Callable[[], Tally]] = {
    "sanity": AnsibleTest().sanity,
    "units": AnsibleTest().units,
    "integration": AnsibleTest().integration,
    "ansible-lint": linters.ansible_lint,
    "docs": linters.collection_docs,
    "changelog": linters.changelog,
    "importer": importer.imported,
    "secrets": planted_secrets.look_for_secrets,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 when the gate found nothing, else 1; both are written to the file of counts."""
    parser = argparse.ArgumentParser(prog="gates", description=__doc__)
    parser.add_argument("gate", choices=sorted(GATES))
    parser.add_argument("--junitxml", type=Path, help="write the counts there")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, _stop)
    try:
        tally = GATES[options.gate]()
    except GateError as error:
        tally = Tally(0, (str(error),))
    for failure in tally.failures:
        print(f"FAILED: {failure}", flush=True)
    print(f"{tally.passed} passed, {len(tally.failures)} failed", flush=True)
    if options.junitxml:
        write_junit(options.junitxml, options.gate, tally)
    return 1 if tally.failures or not tally.passed else 0


def _stop(*details: object) -> None:
    del details
    sys.exit(143)


if __name__ == "__main__":
    sys.exit(main())
