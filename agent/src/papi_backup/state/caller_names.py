# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of accounts and API tokens: one name space, because sessions and the log know callers by name."""

from __future__ import annotations

import re

from papi_backup.model.account import ROLES, Role
from papi_backup.model.errors import InvalidParameterError
from papi_backup.state.database import Database

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,63}")


def is_name(name: str) -> bool:
    """Whether a caller could be called so; a request may carry anything, lone surrogates included."""
    return _NAME.fullmatch(name) is not None


def check_new(what: str, name: str, role: Role) -> None:
    """Raise :class:`InvalidParameterError` for a name or role that ``what`` cannot have."""
    if not is_name(name):
        raise InvalidParameterError(
            f"{what} name {name!r}: 1 to 64 letters, digits and _.@+-, the first a letter, digit or _", "name"
        )
    if role not in ROLES:
        raise InvalidParameterError(f"role {role!r} is none of {', '.join(ROLES)}", "role")


def refuse_taken(database: Database, name: str) -> None:
    """Raise :class:`InvalidParameterError` for a taken name; call it in the transaction that inserts."""
    for table, what in (("accounts", "an account"), ("api_tokens", "an API token")):
        if database.row(f"SELECT 1 FROM {table} WHERE name = ?", (name,)):  # noqa: S608 (two names of ours)
            raise InvalidParameterError(f"{what} named {name!r} exists already", "name")
