# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys of a chain, and sealing and opening of one segment (docs/format.md, "Cryptography")."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass, field

import blake3
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from papi_backup.engine.format import FormatError
from papi_backup.engine.format.header import (
    CHAIN_KEY_SIZE,
    SCRYPT_P,
    SCRYPT_R,
    ChainHeader,
    ClearSlot,
    ScryptSlot,
)
from papi_backup.engine.format.segment import BLOCK, IV_SIZE, TAG_SIZE, Buffer, FrameParts, sealed_size
from papi_backup.model.errors import InvalidParameterError
from papi_backup.model.secret import Secret

CHUNK_ID_SIZE = 16
KEY_SIZE = CHAIN_KEY_SIZE


class WrongKeyError(Exception):
    """No slot of the header opens with this key."""


class AuthenticationFailedError(FormatError):
    """A MAC does not match: altered, misplaced or of another backup."""


@dataclass(frozen=True, slots=True, repr=False)
class ChainKeys:
    """A chain's key and its subkeys, one for each purpose."""

    chain_key: bytes
    encrypted: bool
    encryption: bytes = field(default=b"")
    authentication: bytes = field(default=b"")
    chunk_id: bytes = field(default=b"")
    chunker_seed: int = 0

    @classmethod
    def derive(cls, chain_key: bytes, chain: str, *, encrypted: bool) -> ChainKeys:
        """Derive the subkeys by HKDF-SHA-256, salted with the chain id."""

        def subkey(purpose: str, size: int = KEY_SIZE) -> bytes:
            info = f"papi-backup 1 {purpose}".encode()
            return HKDF(SHA256(), size, bytes.fromhex(chain), info).derive(chain_key)

        return cls(
            chain_key=chain_key,
            encrypted=encrypted,
            encryption=subkey("encryption") if encrypted else b"",
            authentication=subkey("authentication"),
            chunk_id=subkey("chunk-id"),
            chunker_seed=int.from_bytes(subkey("chunker-seed", 8), "big") >> 1 or 1,
        )

    def chunk_id_of(self, data: Buffer) -> bytes:
        """Return the keyed id of a chunk: BLAKE3 keyed, cut to 16 bytes."""
        return blake3.blake3(data, key=self.chunk_id).digest(length=CHUNK_ID_SIZE)


def wrap_chain_key(chain_key: bytes, key: Secret, salt: bytes, cost: int) -> ScryptSlot:
    """Wrap a chain key for the operator's key (its UTF-8 bytes as received).

    Raises InvalidParameterError for a key without UTF-8 form, as all that takes such a key does.
    """
    return ScryptSlot(salt, cost, aes_key_wrap(_key_encryption_key(key, salt, cost), chain_key))


def unwrap_chain_key(header: ChainHeader, key: Secret) -> bytes:
    """Return the chain key of an encrypted chain.  Raises WrongKeyError."""
    return unwrap_with(header, lambda slot: wrapping_key(key, slot))


def unwrap_with(header: ChainHeader, wrapping_key_of: Callable[[ScryptSlot], bytes]) -> bytes:
    """Return the chain key of an encrypted chain from its slots' wrapping keys.  Raises WrongKeyError."""
    for slot in header.slots:
        if isinstance(slot, ScryptSlot):
            try:
                return aes_key_unwrap(wrapping_key_of(slot), slot.wrapped)
            except InvalidUnwrap:
                continue
    raise WrongKeyError


def wrapping_key(key: Secret, slot: ScryptSlot) -> bytes:
    """Derive the key that wraps a slot's chain key; costs what the slot says."""
    return _key_encryption_key(key, slot.salt, slot.cost)


def clear_chain_key(header: ChainHeader) -> bytes:
    """Return the chain key of a raw chain.  Raises FormatError if its slot is missing."""
    for slot in header.slots:
        if isinstance(slot, ClearSlot):
            return slot.key
    raise FormatError("its header has no key slot that this version can use")


def _key_encryption_key(key: Secret, salt: bytes, cost: int) -> bytes:
    scrypt = Scrypt(salt=salt, length=KEY_SIZE, n=cost, r=SCRYPT_R, p=SCRYPT_P)
    return scrypt.derive(_key_bytes(key))


def _key_bytes(key: Secret) -> bytes:
    try:
        return key.reveal().encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise InvalidParameterError("The key has no UTF-8 form.", "encryption_key") from None


def seal(keys: ChainKeys, context: bytes, frame: FrameParts, iv: bytes) -> bytearray:
    """Encrypt (unless raw) and authenticate a frame; ``iv`` is 16 fresh random bytes, unused when raw."""
    sealed = bytearray(sealed_size(frame.size, encrypted=keys.encrypted))
    view, end = memoryview(sealed), 0
    if keys.encrypted:
        view[:IV_SIZE], end = iv, IV_SIZE
        encryptor = Cipher(algorithms.AES(keys.encryption), modes.CBC(iv)).encryptor()
        for part in frame:
            # It wants room for a block more than it writes: the tag's.
            end += encryptor.update_into(part, view[end:])
        encryptor.finalize()
    else:
        for part in frame:
            view[end : end + len(part)] = part
            end += len(part)
    view[end:] = _tag(keys, context, view[:end])
    return sealed


def open_sealed(keys: ChainKeys, context: bytes, sealed: Buffer) -> Buffer:
    """Return a sealed segment's frame.  Raises AuthenticationFailedError before anything else is done."""
    overhead = TAG_SIZE + (IV_SIZE if keys.encrypted else 0)
    size = len(sealed) - overhead
    if size < BLOCK or size % BLOCK:
        raise AuthenticationFailedError("its length is impossible")
    view = memoryview(sealed)
    body, tag = view[:-TAG_SIZE], view[-TAG_SIZE:]
    if not hmac.compare_digest(_tag(keys, context, body), tag):
        raise AuthenticationFailedError("its bytes or its name were altered")
    if not keys.encrypted:
        return body
    decryptor = Cipher(algorithms.AES(keys.encryption), modes.CBC(bytes(body[:IV_SIZE]))).decryptor()
    frame = bytearray(size + BLOCK - 1)
    decryptor.update_into(body[IV_SIZE:], frame)
    decryptor.finalize()
    return memoryview(frame)[:size]


def _tag(keys: ChainKeys, context: bytes, body: Buffer) -> bytes:
    mac = HMAC(keys.authentication, SHA256())
    mac.update(context)
    mac.update(body)
    return mac.finalize()


def cached_chain_key(chain_key: bytes, key: Secret) -> Secret:
    """Return ``chain_key`` as the agent's state keeps it, with what tells whether ``key`` wraps it."""
    return Secret(f"{chain_key.hex()}:{_chain_key_check(chain_key, key)}")


def chain_key_of(cached: Secret, key: Secret) -> Secret | None:
    """Return the chain key (hex) in what :func:`cached_chain_key` made; None where another key wraps it."""
    text, _colon, check = cached.reveal().partition(":")
    fits = hmac.compare_digest(_chain_key_check(bytes.fromhex(text), key), check)
    return Secret(text) if fits else None


def _chain_key_check(chain_key: bytes, key: Secret) -> str:
    mac = HMAC(chain_key, SHA256())
    mac.update(_key_bytes(key))
    return mac.finalize().hex()
