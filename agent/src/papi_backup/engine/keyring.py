# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one key opens: each distinct header costs one derivation, and only so many headers are tried."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from papi_backup.engine.crypto import (
    ChainKeys,
    WrongKeyError,
    clear_chain_key,
    unwrap_with,
    wrapping_key,
)
from papi_backup.engine.format.header import ChainHeader, ScryptSlot
from papi_backup.model.errors import DecryptionKeyError, DecryptionKeyMissingError
from papi_backup.model.secret import NO_SECRET, Secret

MOST_HEADERS = 32
"""Distinct headers that a key is tried on: each may cost four derivations of 256 MiB and a second."""


class SpentError(Exception):
    """The key was not tried on a header: as many as are allowed were tried before."""


class KeyRing:
    """Chain keys by header, from the operator's key or from memory."""

    def __init__(self, key: Secret, known_chain_keys: Mapping[str, Secret] | None = None) -> None:
        """``known_chain_keys`` maps chain ids to cached chain keys (hex), which spare the derivation."""
        self._key = key
        self._known = known_chain_keys or {}
        self._wrapping: dict[tuple[bytes, int], bytes] = {}
        self.headers_tried = 0
        self.fits = False
        """Whether the operator's key has opened a header."""

    def refuse_protection(self, name: str, *, encrypted: bool) -> None:
        """Refuse a manifest that its name alone rules out.

        Raises DecryptionKeyError for a raw one where a key is given, DecryptionKeyMissingError for an
        encrypted one where none is.
        """
        if self._key and not encrypted:
            raise DecryptionKeyError(
                f"A key was given, but {name} is not encrypted: it proves nothing about who wrote it. "
                "Restore it without a key only if that is expected."
            )
        if encrypted and not self._key and not self._known:
            raise _missing(name)

    def keys_of(self, header: ChainHeader, name: str) -> ChainKeys:
        """Return the keys of the chain whose header the manifest ``name`` has.

        Raises DecryptionKeyError, DecryptionKeyMissingError, FormatError for a raw header without a key,
        SpentError.
        """
        if not header.encrypted:
            return ChainKeys.derive(clear_chain_key(header), header.chain, encrypted=False)
        known = self._known.get(header.chain, NO_SECRET)
        if known:
            return ChainKeys.derive(bytes.fromhex(known.reveal()), header.chain, encrypted=True)
        if not self._key:
            raise _missing(name)
        try:
            chain_key = unwrap_with(header, self._derivations())
        except WrongKeyError:
            raise DecryptionKeyError(f"The encryption_key does not open {name}.") from None
        self.fits = True
        return ChainKeys.derive(chain_key, header.chain, encrypted=True)

    def _derivations(self) -> Callable[[ScryptSlot], bytes]:
        """Return what derives for the slots of one header, which counts with its first new slot."""
        tried = self.headers_tried

        def derived(slot: ScryptSlot) -> bytes:
            place = (slot.salt, slot.cost)
            if place not in self._wrapping:
                if tried >= MOST_HEADERS:
                    raise SpentError
                self.headers_tried = tried + 1
                self._wrapping[place] = wrapping_key(self._key, slot)
            return self._wrapping[place]

        return derived


def _missing(name: str) -> DecryptionKeyMissingError:
    return DecryptionKeyMissingError(f"{name} is encrypted; give its encryption_key.")
