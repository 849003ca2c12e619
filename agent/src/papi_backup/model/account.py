# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may call the API (docs/accounts.md)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Role = Literal["administrator", "viewer"]
ROLES: tuple[Role, ...] = ("administrator", "viewer")


@dataclass(frozen=True, slots=True)
class Account:
    """An account without its password hash; ``stamp`` changes with its password."""

    name: str
    role: Role
    stamp: bytes = field(default=b"", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class ApiToken:
    """An API token without its value.  Instants are aware UTC; ``last_used`` is near, None: never."""

    name: str
    role: Role
    created: datetime
    last_used: datetime | None = None
    stamp: bytes = field(default=b"", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Identity:
    """The caller of one request: an account, an API token or a unix-socket peer.

    ``stamp`` is the credential's, so that a session is not opened with one that was withdrawn meanwhile.
    """

    name: str
    role: Role
    stamp: bytes = field(default=b"", compare=False, repr=False)

    @property
    def is_administrator(self) -> bool:
        """Administrators see secrets and change things."""
        return self.role == "administrator"
