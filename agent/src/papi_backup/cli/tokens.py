# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``papi-backup token``: API tokens, for programs that call the API (docs/accounts.md)."""

from __future__ import annotations

import argparse
import sys
from datetime import datetime
from zoneinfo import ZoneInfo

from papi_backup.cli.parser import Commands, Parser
from papi_backup.config import load_settings
from papi_backup.model.account import ROLES
from papi_backup.state.store import Store


def add_commands(commands: Commands[Parser]) -> None:
    """Add ``token add|list|revoke``."""
    token = commands.add_parser("token", help="manage API tokens")
    actions = token.add_subparsers(required=True, metavar="ACTION")
    add = actions.add_parser("add", help="make a token and print its value, this once")
    add.add_argument("name", metavar="NAME")
    add.add_argument("--role", choices=ROLES, required=True, help="viewers see no secrets and change nothing")
    add.set_defaults(run=_add)
    listing = actions.add_parser("list", help="print names, roles, when they were made and last used")
    listing.set_defaults(run=_list)
    revoke = actions.add_parser("revoke", help="remove a token; it is refused from then on")
    revoke.add_argument("name", metavar="NAME")
    revoke.set_defaults(run=_revoke)


def _add(options: argparse.Namespace) -> None:
    with _store(options) as store:
        token, value = store.tokens.add(options.name, options.role)
    # Only the value on standard output, so that it can be piped to where it belongs.
    print(f"token {token.name} ({token.role}) added; its value is not shown again:", file=sys.stderr)
    print(value.reveal())


def _list(options: argparse.Namespace) -> None:
    zone = load_settings(options.config).zone
    with _store(options) as store:
        for token in store.tokens.list():
            made, used = _shown(token.created, zone), _shown(token.last_used, zone)
            print(f"{token.name}\t{token.role}\tmade {made}\tlast used {used}")


def _revoke(options: argparse.Namespace) -> None:
    with _store(options) as store:
        store.tokens.revoke(options.name)
    print(f"token {options.name} revoked")


def _shown(instant: datetime | None, zone: ZoneInfo) -> str:
    return instant.astimezone(zone).isoformat(" ", "minutes") if instant else "never"


def _store(options: argparse.Namespace) -> Store:
    return Store.open(load_settings(options.config).state_dir)
