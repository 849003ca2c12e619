# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""SSH ids: real key pairs, kept while in use."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_ssh_private_key,
)
from fake_backends import World

from papi_backup.model.errors import InvalidParameterError, NoSuchEntityError
from papi_backup.services.ssh_ids import SshIdService


@pytest.mark.parametrize(("key_length", "kind"), [(2048, "ssh-rsa"), (3072, "ssh-rsa"), (256, "ssh-ed25519")])
def test_a_generated_pair_belongs_together_and_names_its_host(
    world: World, key_length: int, kind: str
) -> None:
    change = world.services.ssh_ids.generate("new", key_length, apply=True)
    stored = world.store.ssh_ids.by_name("new")
    assert change.after == stored
    assert stored.key_length == key_length
    private = load_ssh_private_key(stored.private_key.reveal().encode(), password=None)
    public = private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    assert stored.public_key == f"{public} root@host.example"
    assert public.startswith(kind + " ")
    if isinstance(private, RSAPrivateKey):
        assert private.key_size == key_length


def test_a_host_name_cannot_smuggle_a_line_into_authorized_keys(world: World) -> None:
    verbs = SshIdService(world.store, 'a b\nssh-rsa "x"')
    verbs.generate("new", 256, apply=True)
    assert world.store.ssh_ids.by_name("new").public_key.endswith(" root@a-b-ssh-rsa--x-")


@pytest.mark.parametrize("apply", [False, True])
@pytest.mark.parametrize("key_length", [1, 255, 257, 1024, 2049, 4097, 8192])
def test_other_lengths_are_refused_with_the_ones_that_work(
    world: World, key_length: int, apply: bool
) -> None:
    with pytest.raises(InvalidParameterError, match=r"'key_length'.*2048 to 4096.*256"):
        world.services.ssh_ids.generate("new", key_length, apply=apply)


def test_a_planned_pair_is_not_made(world: World) -> None:
    before = world.contents()
    planned = world.services.ssh_ids.generate("new", 4096, apply=False).after
    assert planned is not None
    assert (planned.key_name, planned.key_length, planned.public_key) == ("new", 4096, "")
    assert world.contents() == before


@pytest.mark.parametrize("apply", [False, True])
def test_a_taken_name_is_refused(world: World, apply: bool) -> None:
    with pytest.raises(InvalidParameterError, match=r"'key_name'.*'key' exists"):
        world.services.ssh_ids.generate("key", 256, apply=apply)


@pytest.mark.parametrize("apply", [False, True])
def test_an_ssh_id_in_use_is_not_deleted_and_its_users_are_named(world: World, apply: bool) -> None:
    with pytest.raises(InvalidParameterError, match=r"'key'.*in use.*'vault', 'spare'"):
        world.services.ssh_ids.delete(1, apply=apply)
    world.services.ssh_ids.delete(2, apply=apply)
    assert len(world.store.ssh_ids.list()) == (1 if apply else 2)


def test_unknown_ids_are_told(world: World) -> None:
    for verb in (
        world.services.ssh_ids.get,
        lambda number: world.services.ssh_ids.delete(number, apply=True),
    ):
        with pytest.raises(NoSuchEntityError, match="SSH id 99"):
            verb(99)


def test_private_keys_do_not_show_themselves(world: World) -> None:
    world.services.ssh_ids.generate("new", 256, apply=True)
    stored = world.store.ssh_ids.by_name("new")
    assert "PRIVATE" not in repr(stored)
    assert replace(stored).private_key == stored.private_key
