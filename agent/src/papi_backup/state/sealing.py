# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets at rest: sealed with a key outside the database, bound to the cell they stand in.

A sealed value is ``version (1 byte) | nonce (12 bytes) | AES-256-GCM ciphertext and tag``.  Its
associated data is the cell (table, column, row), so that a value moved or copied to another cell
does not open.  The key is derived from the state key by HKDF.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from papi_backup.model.secret import Secret
from papi_backup.state.database import StateError

MINIMUM_KEY_BYTES = 16
_VERSION = b"\x01"
_NONCE_BYTES = 12


@dataclass(frozen=True, slots=True)
class Cell:
    """Where a sealed value stands."""

    table: str
    column: str
    row: str

    def __str__(self) -> str:
        return f"{self.table}.{self.column} of row {self.row}"


class Sealer:
    """Seals and opens secrets with one state key."""

    def __init__(self, state_key: bytes, randomness: Callable[[int], bytes] = os.urandom) -> None:
        """Derive the sealing key; raises :class:`StateError` when ``state_key`` is too short to be one."""
        if len(state_key) < MINIMUM_KEY_BYTES:
            raise StateError(f"the state key is shorter than {MINIMUM_KEY_BYTES} bytes")
        derived = HKDF(SHA256(), 32, salt=None, info=b"papi-backup state sealing 1").derive(state_key)
        self._aead = AESGCM(derived)
        self._randomness = randomness

    def __repr__(self) -> str:
        return "Sealer()"

    def seal(self, secret: Secret, cell: Cell) -> bytes:
        """Return ``secret`` sealed for ``cell``; the empty one too, lest "no key" be forged by erasing it."""
        nonce = self._randomness(_NONCE_BYTES)
        text = secret.reveal().encode("utf-8", "surrogatepass")
        return _VERSION + nonce + self._aead.encrypt(nonce, text, _associated_data(cell))

    def open(self, sealed: bytes, cell: Cell) -> Secret:
        """Return what was sealed for ``cell``.

        Raises :class:`StateError` for another key, another cell or an altered value (they look the same).
        """
        nonce, ciphertext = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        if sealed[:1] != _VERSION or len(nonce) != _NONCE_BYTES:
            raise StateError(f"{cell}: this is no sealed value")
        try:
            text = self._aead.decrypt(nonce, ciphertext, _associated_data(cell))
        except InvalidTag:
            raise StateError(f"{cell}: the state key does not open the sealed value") from None
        return Secret(text.decode("utf-8", "surrogatepass"))


def _associated_data(cell: Cell) -> bytes:
    """Length-prefixed, so that no two cells share their bytes."""
    parts = [part.encode("utf-8", "surrogatepass") for part in (cell.table, cell.column, cell.row)]
    return _VERSION + b"".join(len(part).to_bytes(4, "big") + part for part in parts)
