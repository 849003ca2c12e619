# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: its parser, and errors as one line and an exit status."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from papi_backup import API_VERSION, __version__
from papi_backup.cli import accounts, configuration, schedules, tls, tokens
from papi_backup.cli.parser import Parser
from papi_backup.config import DEFAULT_FILE
from papi_backup.confinement import keep_memory
from papi_backup.model.errors import PapiError

EXIT_FAILED = 1
"""0 = done, 1 = refused or failed (the reason is on standard error), 2 = the command line was wrong."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    keep_memory()
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except PapiError as error:
        print(f"papi-backup: {error.message}", file=sys.stderr)
        return EXIT_FAILED
    return 0


def _parser() -> Parser:
    parser = Parser(prog="papi-backup", description="Manage the backup agent of this host.")
    parser.add_argument(
        "--config",
        type=Path,
        default=DEFAULT_FILE,
        metavar="FILE",
        help="the agent's settings (default: %(default)s)",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    accounts.add_commands(commands)
    tokens.add_commands(commands)
    tls.add_commands(commands)
    configuration.add_commands(commands)
    schedules.add_commands(commands)
    version = commands.add_parser("version", help="print versions")
    version.set_defaults(run=_print_version)
    return parser


def _print_version(options: argparse.Namespace) -> None:
    del options
    print(f"papi-backup {__version__} (API {API_VERSION})")
