# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may call the API (design section 8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Role = Literal["administrator", "viewer"]
ROLES: tuple[Role, ...] = ("administrator", "viewer")


@dataclass(frozen=True, slots=True)
class Account:
    """An account without its password hash."""

    name: str
    role: Role


@dataclass(frozen=True, slots=True)
class Identity:
    """The caller of one request: an account, an API key's owner or a unix-socket peer."""

    name: str
    role: Role

    @property
    def is_administrator(self) -> bool:
        """Administrators see secrets and change things."""
        return self.role == "administrator"
