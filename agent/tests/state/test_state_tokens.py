# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""API tokens: made once, known by their hashes, gone when they are revoked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from papi_backup.model.account import Identity
from papi_backup.model.errors import InvalidParameterError, NoSuchEntityError
from papi_backup.model.secret import Secret
from papi_backup.state.store import Store


def test_the_value_of_a_token_opens_and_nothing_else_does(store: Store) -> None:
    token, value = store.tokens.add("ci", "viewer")
    other, other_value = store.tokens.add("deploy", "administrator")
    assert store.tokens.verify("ci", value) == token
    assert (token.name, token.role) == ("ci", "viewer")
    for name, wrong in [
        ("ci", other_value),
        ("deploy", value),
        ("Ci", value),
        ("ci", Secret("")),
        ("ci", Secret(value.reveal() + " ")),
        ("ci", Secret("\udcff")),
        ("\udcff", value),
        ("", value),
        ("nobody", value),
    ]:
        assert store.tokens.verify(name, wrong) is None
    assert other.name == "deploy"


def test_a_value_is_long_marked_and_never_the_same(store: Store) -> None:
    values = [store.tokens.add(f"t{number}", "viewer")[1].reveal() for number in range(20)]
    assert len(set(values)) == 20
    assert all(value.startswith("pbt_") and len(value) == 4 + 43 for value in values)


def test_what_is_stored_does_not_hold_the_value(open_store: Callable[..., Store], tmp_path: Path) -> None:
    with open_store() as store:
        token, value = store.tokens.add("ci", "viewer")
        store.tokens.verify("ci", value)
        assert value.reveal() not in repr(token) and value.reveal() not in repr(store.tokens.list())
    for path in (tmp_path / "state").iterdir():
        assert value.reveal().encode() not in path.read_bytes(), path


def test_tokens_are_listed_in_creation_order_with_their_making_and_a_near_last_use(
    store: Store, clock: Any
) -> None:
    made = clock.now
    values = {name: store.tokens.add(name, "viewer")[1] for name in ("zoe", "anna")}
    clock.forward(days=1)
    used = clock.now
    store.tokens.verify("anna", values["anna"])
    clock.forward(minutes=59)
    store.tokens.verify("anna", values["anna"])
    assert [(token.name, token.created, token.last_used) for token in store.tokens.list()] == [
        ("zoe", made, None),
        ("anna", made, used),
    ]
    clock.forward(minutes=1)
    store.tokens.verify("anna", values["anna"])
    assert store.tokens.list()[1].last_used == clock.now


def test_a_revoked_token_and_its_sessions_are_gone_and_its_name_is_free(store: Store) -> None:
    token, value = store.tokens.add("ci", "viewer")
    session = store.sessions.create(Identity("ci", "viewer"))
    assert store.tokens.is_current("ci", token.stamp)
    store.tokens.revoke("ci")
    assert store.tokens.verify("ci", value) is None
    assert store.tokens.list() == []
    assert store.sessions.get(session) is None
    assert not store.tokens.is_current("ci", token.stamp)
    again, _unused = store.tokens.add("ci", "administrator")
    assert store.tokens.verify("ci", value) is None
    assert not store.tokens.is_current("ci", token.stamp) and store.tokens.is_current("ci", again.stamp)


def test_a_token_that_is_not_there_cannot_be_revoked(store: Store) -> None:
    store.accounts.add("anna", "viewer", Secret("password"))
    for name in ("nobody", "anna"):
        with pytest.raises(NoSuchEntityError, match=f"no API token named '{name}'"):
            store.tokens.revoke(name)


def test_a_name_is_an_accounts_or_a_tokens_and_never_both(store: Store) -> None:
    store.accounts.add("anna", "viewer", Secret("password"))
    store.tokens.add("ci", "viewer")
    for make, words in [
        (lambda: store.tokens.add("anna", "viewer"), "an account named 'anna' exists already"),
        (lambda: store.tokens.add("ci", "viewer"), "an API token named 'ci' exists already"),
        (lambda: store.accounts.add("ci", "viewer", Secret("p")), "an API token named 'ci' exists already"),
    ]:
        with pytest.raises(InvalidParameterError, match=words):
            make()


@pytest.mark.parametrize("name", ["", "a b", "-a", "a/b", "é", "a" * 65, "\udcff"])
def test_a_name_that_cannot_be_a_tokens_is_refused(store: Store, name: str) -> None:
    with pytest.raises(InvalidParameterError) as refused:
        store.tokens.add(name, "viewer")
    assert refused.value.parameter == "name"


def test_an_unknown_role_is_refused(store: Store) -> None:
    role: Any = "root"
    with pytest.raises(InvalidParameterError, match="administrator, viewer"):
        store.tokens.add("ci", role)


def test_an_accounts_stamp_changes_with_its_password_and_not_with_its_hash(
    open_store: Callable[..., Store],
) -> None:
    password = Secret("password")
    with open_store() as store:
        store.accounts.add("anna", "viewer", password)
        before = store.accounts.verify("anna", password)
        assert before is not None and store.accounts.is_current("anna", before.stamp)
    with open_store(password_cost=type(store.accounts._cost)(n=32, p=2)) as store:
        renewed = store.accounts.verify("anna", password)
        assert renewed is not None and renewed.stamp == before.stamp
        assert store.accounts.verify("anna", password)
        store.accounts.set_password("anna", password)
        assert not store.accounts.is_current("anna", before.stamp)
        assert not store.accounts.is_current("nobody", before.stamp)
