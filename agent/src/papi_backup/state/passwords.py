# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Password hashes: scrypt, with its cost stored beside each hash so that it can be raised later."""

from __future__ import annotations

import hashlib
import hmac
import os
from dataclasses import dataclass

from papi_backup.model.secret import Secret

_SALT_BYTES = 16
_HASH_BYTES = 32


@dataclass(frozen=True, slots=True)
class ScryptCost:
    """Parameters of scrypt; the default takes 16 MiB and is one of OWASP's equivalent choices."""

    n: int = 1 << 14
    r: int = 8
    p: int = 5


DEFAULT_COST = ScryptCost()


@dataclass(frozen=True, slots=True, repr=False)
class PasswordHash:
    """What is stored of a password."""

    salt: bytes
    hash: bytes
    cost: ScryptCost

    def __repr__(self) -> str:
        return f"PasswordHash(cost={self.cost})"


def hash_password(password: Secret, cost: ScryptCost, salt: bytes = b"") -> PasswordHash:
    """Hash ``password``, with a fresh salt if none is given."""
    salt = salt or os.urandom(_SALT_BYTES)
    return PasswordHash(salt, _scrypt(password, salt, cost), cost)


def matches(password: Secret, stored: PasswordHash) -> bool:
    """Tell, in time that does not depend on the answer, whether ``password`` made ``stored``."""
    return hmac.compare_digest(_scrypt(password, stored.salt, stored.cost), stored.hash)


def unmatchable(cost: ScryptCost) -> PasswordHash:
    """Return a hash no password has: checking it is the work that an unknown name costs."""
    return PasswordHash(bytes(_SALT_BYTES), os.urandom(_HASH_BYTES), cost)


def _scrypt(password: Secret, salt: bytes, cost: ScryptCost) -> bytes:
    return hashlib.scrypt(
        password.reveal().encode("utf-8", "surrogatepass"),
        salt=salt,
        n=cost.n,
        r=cost.r,
        p=cost.p,
        maxmem=128 * cost.r * (cost.n + cost.p + 8) + (1 << 20),
        dklen=_HASH_BYTES,
    )
