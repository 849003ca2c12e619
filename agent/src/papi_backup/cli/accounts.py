# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``papi-backup account``: who may call the API."""

from __future__ import annotations

import argparse
import logging
import os
import stat
import sys
from pathlib import Path

from papi_backup.cli.parser import Commands, Parser
from papi_backup.config import load_settings
from papi_backup.model.account import ROLES
from papi_backup.model.errors import InvalidParameterError
from papi_backup.model.secret import Secret
from papi_backup.state.store import Store

log = logging.getLogger(__name__)


def add_commands(commands: Commands[Parser]) -> None:
    """Add ``account add|list|remove|set-password``."""
    account = commands.add_parser("account", help="manage accounts of the API")
    actions = account.add_subparsers(required=True, metavar="ACTION")
    add = actions.add_parser("add", help="make an account")
    add.add_argument("name", metavar="NAME")
    add.add_argument("--role", choices=ROLES, required=True, help="viewers see no secrets and change nothing")
    _add_password_file(add)
    add.set_defaults(run=_add)
    listing = actions.add_parser("list", help="print names and roles")
    listing.set_defaults(run=_list)
    remove = actions.add_parser("remove", help="remove an account and end its sessions")
    remove.add_argument("name", metavar="NAME")
    remove.set_defaults(run=_remove)
    change = actions.add_parser("set-password", help="replace a password and end the account's sessions")
    change.add_argument("name", metavar="NAME")
    _add_password_file(change)
    change.set_defaults(run=_set_password)


def _add_password_file(parser: Parser) -> None:
    parser.add_argument(
        "--password-file",
        type=Path,
        required=True,
        metavar="F",
        help='a file that holds the password ("-": standard input); one newline at its end is not part of it',
    )


def _add(options: argparse.Namespace) -> None:
    with _store(options) as store:
        account = store.accounts.add(options.name, options.role, read_password(options.password_file))
    print(f"account {account.name} ({account.role}) added")


def _list(options: argparse.Namespace) -> None:
    with _store(options) as store:
        for account in store.accounts.list():
            print(f"{account.name}\t{account.role}")


def _remove(options: argparse.Namespace) -> None:
    with _store(options) as store:
        store.accounts.remove(options.name)
    print(f"account {options.name} removed")


def _set_password(options: argparse.Namespace) -> None:
    with _store(options) as store:
        store.accounts.set_password(options.name, read_password(options.password_file))
    print(f"password of account {options.name} changed")


def _store(options: argparse.Namespace) -> Store:
    return Store.open(load_settings(options.config).state_dir)


def read_password(path: Path) -> Secret:
    """Return the password in ``path``, or on standard input for "-", without the one newline at its end.

    Warns when others may read the file.  Raises :class:`InvalidParameterError` (``password_file``).
    """
    try:
        content = sys.stdin.buffer.read() if str(path) == "-" else _read_warning(path)
        text = content.decode("utf-8")
    except OSError as error:
        raise InvalidParameterError(f"password file {path}: {error.strerror}", "password_file") from error
    except UnicodeDecodeError:
        # Not "from": the exception holds the password.
        raise InvalidParameterError(f"password file {path} is not UTF-8 text", "password_file") from None
    return Secret(text.removesuffix("\r\n" if text.endswith("\r\n") else "\n"))


def _read_warning(path: Path) -> bytes:
    with path.open("rb") as file:
        mode, content = stat.S_IMODE(os.fstat(file.fileno()).st_mode), file.read()
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        log.warning("others may read the password file %s (mode %04o): chmod 600 %s", path, mode, path)
    return content
