# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Accounts and sessions: who is let in, for how long, and at what cost to a guesser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from papi_backup.model.account import Account, Identity
from papi_backup.model.errors import InvalidParameterError, NoSuchEntityError
from papi_backup.model.secret import Secret
from papi_backup.state import passwords
from papi_backup.state.passwords import DEFAULT_COST, PasswordHash, ScryptCost
from papi_backup.state.sessions import MAXIMUM_PER_NAME
from papi_backup.state.store import Store

PASSWORD = Secret("correct horse")
ANNA = Identity("anna", "administrator")


def test_the_right_password_gives_the_account_and_a_wrong_one_nothing(store: Store) -> None:
    anna = store.accounts.add("anna", "administrator", PASSWORD)
    assert anna == Account("anna", "administrator")
    assert store.accounts.verify("anna", PASSWORD) == anna
    for name, wrong in [
        ("anna", "correct horse "),
        ("anna", ""),
        ("anna", "\udcff"),
        ("Anna", "correct horse"),
        ("nobody", "correct horse"),
        ("", ""),
        ("a\udcff", "x"),
    ]:
        assert store.accounts.verify(name, Secret(wrong)) is None


def test_accounts_are_listed_in_creation_order(store: Store) -> None:
    for name, role in (("zoe", "viewer"), ("anna", "administrator"), ("max@example.org", "viewer")):
        store.accounts.add(name, role, PASSWORD)
    store.accounts.remove("anna")
    store.accounts.add("anna", "viewer", PASSWORD)
    assert store.accounts.list() == [
        Account("zoe", "viewer"),
        Account("max@example.org", "viewer"),
        Account("anna", "viewer"),
    ]


def test_a_taken_name_is_refused_and_the_account_keeps_its_password(store: Store) -> None:
    anna = store.accounts.add("anna", "administrator", PASSWORD)
    with pytest.raises(InvalidParameterError, match="exists already"):
        store.accounts.add("anna", "viewer", Secret("other"))
    assert store.accounts.verify("anna", PASSWORD) == anna


@pytest.mark.parametrize("name", ["", " ", "a b", "a\n", "-a", ".a", "a/b", "é", "a" * 65, "a\0", "\udcff"])
def test_a_name_that_cannot_be_an_accounts_is_refused(store: Store, name: str) -> None:
    with pytest.raises(InvalidParameterError) as refused:
        store.accounts.add(name, "viewer", PASSWORD)
    assert refused.value.parameter == "name"


@pytest.mark.parametrize("password", ["", "x" * 1025])
def test_an_empty_or_endless_password_is_refused_without_showing_it(store: Store, password: str) -> None:
    store.accounts.add("anna", "viewer", PASSWORD)
    for change in (
        lambda: store.accounts.add("max", "viewer", Secret(password)),
        lambda: store.accounts.set_password("anna", Secret(password)),
    ):
        with pytest.raises(InvalidParameterError, match="1 to 1024 bytes"):
            change()
    assert store.accounts.verify("anna", PASSWORD)


def test_an_unknown_role_is_refused(store: Store) -> None:
    role: Any = "root"
    with pytest.raises(InvalidParameterError, match="administrator, viewer"):
        store.accounts.add("anna", role, PASSWORD)


def test_a_new_password_replaces_the_old_one_and_ends_sessions(store: Store) -> None:
    store.accounts.add("anna", "administrator", PASSWORD)
    token = store.sessions.create(ANNA)
    other = store.sessions.create(Identity("max", "viewer"))
    store.accounts.set_password("anna", Secret("new"))
    assert store.accounts.verify("anna", PASSWORD) is None
    assert store.accounts.verify("anna", Secret("new"))
    assert store.sessions.get(token) is None
    assert store.sessions.get(other) == Identity("max", "viewer")


def test_a_removed_account_and_its_sessions_are_gone(store: Store) -> None:
    store.accounts.add("anna", "administrator", PASSWORD)
    token = store.sessions.create(ANNA)
    store.accounts.remove("anna")
    assert store.accounts.list() == []
    assert store.accounts.verify("anna", PASSWORD) is None
    assert store.sessions.get(token) is None


def test_an_account_that_is_not_there_cannot_be_changed(store: Store) -> None:
    for change in (
        lambda: store.accounts.remove("nobody"),
        lambda: store.accounts.set_password("nobody", PASSWORD),
    ):
        with pytest.raises(NoSuchEntityError, match="nobody"):
            change()


def test_an_unknown_name_costs_the_same_scrypt_as_a_known_one(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.accounts.add("anna", "administrator", PASSWORD)
    costs: list[tuple[int, int, int]] = []
    real = passwords.hashlib.scrypt

    def counting(password: bytes, **parameters: Any) -> bytes:
        costs.append((parameters["n"], parameters["r"], parameters["p"]))
        return real(password, **parameters)

    monkeypatch.setattr(passwords.hashlib, "scrypt", counting)
    for name in ("anna", "nobody", "not a name"):
        costs.clear()
        store.accounts.verify(name, Secret("wrong"))
        assert costs == [(16, 8, 1)]


def test_a_hash_of_another_cost_still_opens_and_is_renewed(open_store: Callable[..., Store]) -> None:
    cheap, dear = ScryptCost(n=16, p=1), ScryptCost(n=32, p=2)
    with open_store(password_cost=cheap) as store:
        store.accounts.add("anna", "viewer", PASSWORD)
    with open_store(password_cost=dear) as store:
        query = "SELECT scrypt_n, scrypt_r, scrypt_p FROM accounts"
        assert store.accounts.verify("anna", Secret("wrong")) is None
        assert tuple(store._database.rows(query)[0]) == (16, 8, 1)
        assert store.accounts.verify("anna", PASSWORD)
        assert tuple(store._database.rows(query)[0]) == (32, 8, 2)
        assert store.accounts.verify("anna", PASSWORD)


def test_the_default_cost_is_not_below_what_is_recommended_and_works() -> None:
    assert DEFAULT_COST.n * DEFAULT_COST.r * DEFAULT_COST.p >= (1 << 14) * 8 * 5
    hashed = passwords.hash_password(PASSWORD, DEFAULT_COST)
    assert passwords.matches(PASSWORD, hashed)
    assert not passwords.matches(Secret("other"), hashed)
    assert hashed.hash.hex() not in repr(hashed)
    assert isinstance(hashed, PasswordHash)


def test_a_session_is_known_by_its_token_until_it_is_ended(store: Store) -> None:
    token, other = store.sessions.create(ANNA), store.sessions.create(ANNA)
    assert token != other
    assert store.sessions.get(token) == ANNA
    store.sessions.delete(token)
    store.sessions.delete(token)
    assert store.sessions.get(token) is None
    assert store.sessions.get(other) == ANNA


@pytest.mark.parametrize("token", ["", "guess", "\udcff", "a\0"])
def test_an_unknown_token_is_nobodys(store: Store, token: str) -> None:
    store.sessions.create(ANNA)
    assert store.sessions.get(token) is None


def test_a_session_lives_while_it_is_used_and_ends_when_idle(
    open_store: Callable[..., Store], clock: Any
) -> None:
    with open_store(session_idle_seconds=600) as store:
        token = store.sessions.create(ANNA)
        for _unused in range(4):
            clock.forward(seconds=550)
            assert store.sessions.get(token) == ANNA
        clock.forward(seconds=601)
        assert store.sessions.get(token) is None
        clock.forward(seconds=-601)
        assert store.sessions.get(token) is None


def test_a_session_outlives_a_restart_of_the_agent(open_store: Callable[..., Store]) -> None:
    with open_store() as store:
        token = store.sessions.create(ANNA)
    with open_store() as store:
        assert store.sessions.get(token) == ANNA


def test_a_clock_set_back_does_not_keep_a_session_for_ever(store: Store, clock: Any) -> None:
    token = store.sessions.create(ANNA)
    clock.forward(days=-30)
    assert store.sessions.get(token) == ANNA
    clock.forward(hours=1)
    assert store.sessions.get(token) is None


def test_a_session_used_often_is_not_written_down_each_time(store: Store) -> None:
    token = store.sessions.create(ANNA)
    before = store._database.rows("SELECT total_changes()")[0][0]
    for _unused in range(20):
        store.sessions.get(token)
    assert store._database.rows("SELECT total_changes()")[0][0] == before


def test_sessions_do_not_pile_up(store: Store, clock: Any) -> None:
    first = store.sessions.create(ANNA)
    other = store.sessions.create(Identity("max", "viewer"))
    clock.forward(seconds=1)
    newest = [store.sessions.create(ANNA) for unused in range(MAXIMUM_PER_NAME)]
    assert store.sessions.get(first) is None
    assert all(store.sessions.get(token) == ANNA for token in newest)
    assert store.sessions.get(other) is not None
    clock.forward(days=1)
    store.sessions.create(ANNA)
    assert store._database.rows("SELECT count(*) FROM sessions")[0][0] == 1
