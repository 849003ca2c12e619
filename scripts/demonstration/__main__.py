# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: run the demonstration, one of its steps, or remove what it left."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence

from demonstration.changes import change
from demonstration.layout import DemoError, Layout
from demonstration.run import clean, run
from demonstration.snapshots import snapshot

STOPPED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 when everything went as it should, 1 when a step failed, 130 when stopped."""
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("clean", help="remove what a demonstration left")
    for name, purpose in (("snapshot", "keep the sources as they are"), ("change", "change the sources")):
        step = commands.add_parser(name, help=f"{purpose} (called by the playbook)")
        step.add_argument("number", type=int)
    options = parser.parse_args(arguments)
    layout = Layout()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    try:
        if options.command == "snapshot":
            snapshot(layout, options.number)
        elif options.command == "change":
            change(layout, options.number)
        elif options.command == "clean":
            clean(layout)
        else:
            return run(layout)
    except DemoError as error:
        sys.stderr.write(f"demo: FAILED: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("demo: stopped\n")
        return STOPPED
    return 0


def _stop(*details: object) -> None:
    del details
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
