# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""SSH ids: list, generate, delete (docs/api.md)."""

from __future__ import annotations

import builtins
import string

from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from papi_backup.model.errors import InvalidParameterError
from papi_backup.model.secret import Secret
from papi_backup.model.storage import SshId, SshStorage
from papi_backup.services.change import Change
from papi_backup.services.lookups import joined, refuse_taken
from papi_backup.state.store import Store

ED25519_LENGTH = 256
RSA_LENGTHS = range(2048, 4096 + 1, 64)
"""OpenSSH refuses shorter keys; longer ones take longer to make than a client waits."""

DEFAULT_KEY_LENGTH = 3072
_COMMENT_CHARACTERS = frozenset(string.ascii_letters + string.digits + "._-")


class SshIdService:
    """The verbs on SSH ids.  Unknown ids raise :class:`NoSuchEntityError` everywhere."""

    def __init__(self, store: Store, host_name: str) -> None:
        """``host_name`` goes into public keys' comments, so that authorized_keys tells whose they are."""
        self._store = store
        self._comment = "root@" + "".join(
            character if character in _COMMENT_CHARACTERS else "-" for character in host_name
        )

    def list(self) -> builtins.list[SshId]:
        """Return all SSH ids in creation order."""
        return self._store.ssh_ids.list()

    def get(self, ssh_id_id: int) -> SshId:
        """Return one."""
        return self._store.ssh_ids.get(ssh_id_id)

    def generate(self, key_name: str, key_length: int, *, apply: bool) -> Change[SshId]:
        """Make a key pair: RSA of ``key_length`` bits, or Ed25519 for 256.

        Another length, or a taken name, is :class:`InvalidParameterError`.
        """
        if key_length != ED25519_LENGTH and key_length not in RSA_LENGTHS:
            raise InvalidParameterError(
                f"Invalid value of 'key_length': RSA keys have {RSA_LENGTHS[0]} to {RSA_LENGTHS[-1]} bits"
                f" in steps of {RSA_LENGTHS.step}; {ED25519_LENGTH} makes an Ed25519 key.",
                "key_length",
            )
        self._refuse_taken(key_name)
        if not apply:
            return Change(True, None, SshId(0, key_name, key_length, ""))
        public_key, private_key = _new_key_pair(key_length)
        ssh_id = SshId(0, key_name, key_length, f"{public_key} {self._comment}", private_key)
        with self._store.transaction():
            self._refuse_taken(key_name)
            return Change(True, None, self._store.ssh_ids.add(ssh_id))

    def delete(self, ssh_id_id: int, *, apply: bool) -> Change[SshId]:
        """Delete a key pair; one in use is :class:`InvalidParameterError`, saying by what."""
        with self._store.transaction():
            ssh_id = self._store.ssh_ids.get(ssh_id_id)
            users = [
                storage.storage_name
                for storage in self._store.storages.list()
                if isinstance(storage, SshStorage) and storage.ssh_id_id == ssh_id_id
            ]
            if users:
                raise InvalidParameterError(
                    f"SSH id {ssh_id.key_name!r} ('ssh_id_id' {ssh_id_id}) is in use by the storages"
                    f" {joined(users)}: delete them or give them another SSH id first.",
                    "ssh_id_id",
                )
            if apply:
                self._store.ssh_ids.delete(ssh_id_id)
        return Change(True, ssh_id, None)

    def _refuse_taken(self, key_name: str) -> None:
        refuse_taken(self._store.ssh_ids.by_name, key_name, "an SSH id", "key_name")


def _new_key_pair(key_length: int) -> tuple[str, Secret]:
    """Return the public key as ``<type> <base64>`` and the private one as OpenSSH PEM."""
    key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
    if key_length == ED25519_LENGTH:
        key = ed25519.Ed25519PrivateKey.generate()
    else:
        key = rsa.generate_private_key(public_exponent=65537, key_size=key_length)
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    return public.decode("ascii"), Secret(private.decode("ascii"))
