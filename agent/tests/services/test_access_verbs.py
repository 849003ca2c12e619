# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logging in: sessions, and the brake on guessing."""

from __future__ import annotations

from typing import Any

import pytest
from fake_backends import CHEAP, World

from papi_backup.model.account import Identity
from papi_backup.model.errors import AuthenticationError, TooManyRequestsError
from papi_backup.model.secret import Secret
from papi_backup.services.access import AccessService
from papi_backup.services.brake import MAXIMUM_KEYS, BrakeKey, FailureBrake, Limit
from papi_backup.state import passwords
from papi_backup.state.database import StateError
from papi_backup.state.login_addresses import MAXIMUM_PER_NAME

RIGHT, WRONG = Secret("secret"), Secret("wrong")


class Monotonic:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def monotonic() -> Monotonic:
    return Monotonic()


@pytest.fixture
def access(world: World, monotonic: Monotonic) -> AccessService:
    return AccessService(world.store, monotonic)


def fail(access: AccessService, times: int, name: str = "admin", address: str = "a") -> None:
    for _unused in range(times):
        with pytest.raises(AuthenticationError, match=r"^Authentication Error$"):
            access.verify(name, WRONG, address)


def test_a_session_lasts_until_it_is_closed(access: AccessService) -> None:
    identity = access.verify("viewer", RIGHT, "a")
    session = access.open_session(identity)
    assert access.identity_of(session.token) == identity == Identity("viewer", "viewer")
    access.close_session(session.token)
    assert access.identity_of(session.token) is None


def test_a_token_opens_what_its_role_says_and_an_accounts_password_serves_as_one(
    access: AccessService, world: World
) -> None:
    token, value = world.store.tokens.add("ci", "viewer")
    assert access.verify_key("ci", value, "a") == Identity("ci", "viewer")
    assert access.verify_key("admin", RIGHT, "a") == Identity("admin", "administrator")
    for name, wrong in (("ci", WRONG), ("admin", value), ("nobody", value)):
        with pytest.raises(AuthenticationError, match=r"^Authentication Error$"):
            access.verify_key(name, wrong, "a")
    with pytest.raises(AuthenticationError):
        access.verify(token.name, value, "a")


def test_guesses_at_a_token_are_slowed_down_and_do_not_lock_its_owner_out(
    access: AccessService, world: World
) -> None:
    value = world.store.tokens.add("ci", "viewer")[1]
    for _unused in range(10):
        with pytest.raises(AuthenticationError):
            access.verify_key("ci", WRONG, "a")
    with pytest.raises(TooManyRequestsError):
        access.verify_key("ci", WRONG, "a")
    assert access.verify_key("ci", value, "a")


@pytest.mark.parametrize(
    "withdraw", ["a new password", "a removed account", "one made anew", "a revoked token"]
)
def test_a_credential_that_is_withdrawn_between_its_check_and_the_session_opens_none(
    access: AccessService, world: World, withdraw: str
) -> None:
    store = world.store
    if withdraw == "a revoked token":
        identity = access.verify_key("ci", store.tokens.add("ci", "viewer")[1], "a")
        store.tokens.revoke("ci")
    else:
        identity = access.verify("admin", RIGHT, "a")
        if withdraw == "a new password":
            store.accounts.set_password("admin", RIGHT)
        else:
            store.accounts.remove("admin")
        if withdraw == "one made anew":
            store.accounts.add("admin", "viewer", RIGHT)
    with pytest.raises(AuthenticationError):
        access.open_session(identity)


def test_every_refusal_costs_one_scrypt_whatever_the_name_is(
    access: AccessService, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.store.tokens.add("ci", "viewer")
    costs: list[tuple[int, ...]] = []
    real = passwords.hashlib.scrypt

    def counting(password: bytes, **parameters: Any) -> bytes:
        costs.append((parameters["n"], parameters["r"], parameters["p"]))
        return real(password, **parameters)

    monkeypatch.setattr(passwords.hashlib, "scrypt", counting)
    for verify in (access.verify, access.verify_key):
        for name in ("admin", "viewer", "ci", "nobody", "no name"):
            costs.clear()
            with pytest.raises(AuthenticationError):
                verify(name, WRONG, "a")
            assert costs == [(CHEAP.n, CHEAP.r, CHEAP.p)]


def test_repeated_failures_of_an_account_at_an_address_wait_ever_longer(
    access: AccessService, monotonic: Monotonic
) -> None:
    fail(access, 10)
    for seconds in (1, 2, 4, 8, 16, 32, 60, 60):
        with pytest.raises(TooManyRequestsError, match=f"in {seconds} s"):
            access.verify("admin", RIGHT, "a")
        monotonic.now += seconds
        fail(access, 1)


def test_who_is_slowed_down_is_neither_other_accounts_nor_other_addresses(access: AccessService) -> None:
    fail(access, 10)
    assert access.verify("admin", RIGHT, "b").name == "admin"
    assert access.verify("viewer", RIGHT, "a").name == "viewer"


def test_success_forgets_the_failures(access: AccessService) -> None:
    for _unused in range(4):
        fail(access, 9)
        access.verify("admin", RIGHT, "a")


def test_an_address_that_tries_many_accounts_is_slowed_down(access: AccessService) -> None:
    for number in range(50):
        fail(access, 1, f"nobody{number}")
    with pytest.raises(TooManyRequestsError):
        access.verify("admin", RIGHT, "a")
    assert access.verify("admin", RIGHT, "b")


def test_an_account_tried_from_many_addresses_stays_open_and_is_known_to_be_guessed_at(
    access: AccessService, monotonic: Monotonic
) -> None:
    for number in range(50):
        assert not access.is_guessed_at("admin") and not access.is_guessed_at("nobody")
        fail(access, 1, address=f"a{number}")
        fail(access, 1, "nobody", address=f"b{number}")
    assert access.is_guessed_at("admin") and access.is_guessed_at("nobody")
    assert access.verify("admin", RIGHT, "elsewhere")
    monotonic.now += 901
    assert not access.is_guessed_at("admin")


def test_the_right_password_from_where_somebody_logged_in_is_never_refused(access: AccessService) -> None:
    access.verify("admin", RIGHT, "home")
    fail(access, 10, address="home")
    for _unused in range(100):
        with pytest.raises(TooManyRequestsError, match="try again in"):
            access.verify("admin", WRONG, "home")
    assert access.verify("admin", RIGHT, "home").name == "admin"
    assert access.verify("viewer", RIGHT, "home").name == "viewer"


def test_answers_at_a_known_address_do_not_tell_which_names_exist(access: AccessService) -> None:
    access.verify("admin", RIGHT, "home")
    answers = {}
    for name in ("admin", "viewer", "nobody"):
        told = []
        for _unused in range(15):
            with pytest.raises((AuthenticationError, TooManyRequestsError)) as refused:
                access.verify(name, WRONG, "home")
            told.append(str(refused.value))
        answers[name] = told
    assert answers["admin"] == answers["viewer"] == answers["nobody"]


def test_an_address_is_known_over_a_restart_until_the_password_changes(world: World) -> None:
    AccessService(world.store).verify("admin", RIGHT, "2001:db8::1")
    again = AccessService(world.store)
    assert again.knows_address("2001:db8::ffff:1") and not again.knows_address("2001:db8:1::1")
    world.store.accounts.set_password("admin", RIGHT)
    assert not again.knows_address("2001:db8::1")
    again.verify("admin", RIGHT, "10.0.0.1")
    assert again.knows_address("10.0.0.1") and not again.knows_address("10.0.0.2")
    world.store.accounts.remove("admin")
    assert not again.knows_address("10.0.0.1")


def test_the_right_password_lets_in_where_the_address_cannot_be_written_down(
    access: AccessService, world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(name: str, address: str) -> None:
        raise StateError("state.db: the disk is full")

    monkeypatch.setattr(world.store.login_addresses, "note", full)
    assert access.verify("admin", RIGHT, "a").name == "admin"
    assert "'admin' logged in from is not remembered: state.db: the disk is full" in caplog.text


def test_an_account_has_a_bounded_number_of_known_addresses(world: World) -> None:
    known = world.store.login_addresses
    for number in range(MAXIMUM_PER_NAME + 5):
        known.note("admin", f"10.0.0.{number}")
    assert [known.knows(f"10.0.0.{number}") for number in (0, 4, 5, MAXIMUM_PER_NAME + 4)] == [
        False,
        False,
        True,
        True,
    ]


def test_names_and_addresses_that_look_alike_when_joined_are_told_apart(access: AccessService) -> None:
    fail(access, 10, "x", "y z")
    fail(access, 1, "x y", "z")


def test_old_failures_are_forgotten_and_memory_is_bounded(monotonic: Monotonic) -> None:
    brake = FailureBrake(monotonic)
    limit = Limit(free=2, longest=60)
    key = BrakeKey("k", limit)
    brake.failed([key])
    monotonic.now += 901
    brake.failed([key])
    brake.check([key])
    brake.failed([key])
    with pytest.raises(TooManyRequestsError):
        brake.check([key])
    for number in range(MAXIMUM_KEYS):
        brake.failed([BrakeKey(str(number), limit)])
    brake.check([key])


def test_a_session_waits_for_no_disk_and_what_is_written_otherwise_does(
    access: AccessService, world: World
) -> None:
    identity = access.verify("admin", RIGHT, "a")
    statements: list[str] = []
    database = world.store._database
    database._connection.set_trace_callback(statements.append)
    access.open_session(identity)
    first, last = statements[0], statements[-1]
    assert (first, last) == ("PRAGMA synchronous=NORMAL", "PRAGMA synchronous=FULL")
    assert statements[1] == "BEGIN IMMEDIATE" and statements[-2] == "COMMIT"
    level = database.row("PRAGMA synchronous")
    assert level is not None and level[0] == 2
