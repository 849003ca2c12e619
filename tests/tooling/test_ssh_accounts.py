# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which account of a storage host is which client's, run after run, each of some of the clients."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

_FILE = Path(__file__).parents[2] / "plugins/plugin_utils/_accounts.py"
_SPEC = importlib.util.spec_from_file_location("_accounts", _FILE)
assert _SPEC is not None
assert _SPEC.loader is not None
accounts = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(accounts)

LONG_A = "database-of-the-northern-region-a.example.com"
LONG_B = "database-of-the-northern-region-b.example.com"
CUT = "pb-database-of-the-northern-regi"
OWNERS = "/etc/ssh/papi-backup/owners"


@dataclass
class Vault:
    """A storage host as the role sees and changes it; keys are called as their clients."""

    comments: dict[str, str] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    keys: dict[str, list[str]] = field(default_factory=dict)
    directories: set[str] = field(default_factory=set)
    strangers: set[str] = field(default_factory=set)
    places: list[str] = field(default_factory=lambda: ["0 711 /srv/papi-backup", "0 755 /srv", "0 755 /"])

    def looked(self) -> str:
        members = [user for user in self.comments if user not in self.strangers]
        return "\n".join(
            [
                *("[accounts]", "root:x:0:0:root:/root:/bin/bash"),
                *(
                    f"{user}:x:999:999:{comment}:/:/usr/sbin/nologin"
                    for user, comment in self.comments.items()
                ),
                *("[group]", "papi-backup-clients:x:999:" + ",".join(members)),
                "[files]",
                *(f"{OWNERS}/{user}:{name}" for user, name in self.owners.items()),
                *(f"/etc/ssh/papi-backup/keys/{u}:{key}" for u, keys in self.keys.items() for key in keys),
                *("[directories]", *sorted(self.directories), "[places]", *self.places, "[end]"),
            ]
        )

    def plan(self, *clients: dict[str, Any], move: bool = False) -> Any:
        return accounts.Plan(clients, self.looked(), move)

    def run(self, *clients: dict[str, Any], move: bool = False) -> dict[str, str]:
        """Run the role, which must have nothing against it; return the accounts by name."""
        plan = self.plan(*clients, move=move)
        assert plan.problems == []
        for account in plan.accounts:
            user = account["user"]
            if account["state"] == "present":
                self.owners[user] = account["name"]
                self.comments[user] = f"papi.backup of {account['name']}"
                self.keys[user] = account["public_keys"]
                self.directories.add(user)
            else:
                self.comments.pop(user, None)
                self.keys.pop(user, None)
        return {account["name"]: account["user"] for account in plan.accounts}

    def run_as_before(self, name: str) -> str:
        """Run the role as it was before owners were written down; return the account."""
        user = "pb-" + re.sub("[^a-z0-9-]", "-", name.lower())[:29]
        self.comments[user] = f"papi.backup of {name}"
        self.keys[user] = [f"key of {name}"]
        self.directories.add(user)
        return user


def client(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "public_keys": [f"key of {name}"], **more}


NAMES = {
    "web1": "pb-web1",
    "a-b--c": "pb-a-b--c",
    "x" * 29: "pb-" + "x" * 29,
    "x" * 30: "pb-" + "x" * 20 + "-HASH",
    "web1.example.com": "pb-web1-example-com-82c1a348",
    "Web1": "pb-web1-HASH",
    "müller": "pb-m-ller-HASH",
    "db-0123abcd": "pb-db-0123abcd-HASH",
    "198.51.100.7": "pb-198-51-100-7-HASH",
    "fd00::1": "pb-fd00--1-HASH",
    "": "pb--HASH",
}


@pytest.mark.parametrize("name", NAMES)
def test_a_new_account_is_called_as_its_client_or_has_a_hash(name: str) -> None:
    assert re.fullmatch(NAMES[name].replace("HASH", "[0-9a-f]{8}"), accounts.account_of(name))


near = st.text(st.sampled_from("aAb.-_0"), min_size=1, max_size=40)
any_name = st.one_of(near, st.text(min_size=1, max_size=60))


@settings(max_examples=60, deadline=None)
@given(any_name, any_name)
@example(LONG_A, LONG_B)
@example("web.1", "web-1")
@example("web-1", "WEB-1")
def test_no_two_names_give_one_account_and_all_are_names_of_users(one: str, other: str) -> None:
    for name in (one, other):
        for account in (accounts.account_of(name), accounts.hashed_account_of(name)):
            assert re.fullmatch(r"[a-z_][a-z0-9_-]{0,31}", account)
    if one != other:
        mine = {accounts.account_of(one), accounts.hashed_account_of(one)}
        assert not mine & {accounts.account_of(other), accounts.hashed_account_of(other)}


@settings(max_examples=30, deadline=None)
@given(st.from_regex(r"[a-z0-9-]{1,20}[.][a-z0-9]{1,5}", fullmatch=True))
def test_who_is_called_as_anothers_hashed_account_gets_another(name: str) -> None:
    pretender = accounts.account_of(name).removeprefix("pb-")
    assert accounts.account_of(pretender) != accounts.account_of(name)


def test_names_that_were_cut_alike_are_apart_in_two_runs() -> None:
    vault = Vault()
    first = vault.run(client(LONG_A))
    second = vault.run(client(LONG_B))
    assert first[LONG_A] != second[LONG_B]
    assert vault.keys[first[LONG_A]] == [f"key of {LONG_A}"]


def test_an_account_of_before_keeps_its_name_and_gets_its_owner_written_down() -> None:
    vault = Vault()
    assert vault.run_as_before("web1.example.com") == "pb-web1-example-com"
    assert vault.run(client("web1.example.com")) == {"web1.example.com": "pb-web1-example-com"}
    assert vault.owners == {"pb-web1-example-com": "web1.example.com"}


def test_an_account_stays_its_clients_whatever_its_key_is_now() -> None:
    vault = Vault()
    vault.run_as_before("web1.example.com")
    found = vault.run({"name": "web1.example.com", "public_keys": ["key of the rebuilt host"]})
    assert found == {"web1.example.com": "pb-web1-example-com"}


@pytest.mark.parametrize("written_down", [False, True])
def test_a_new_client_beside_an_account_of_before_is_no_collision(written_down: bool) -> None:
    vault = Vault()
    vault.run_as_before(LONG_A)
    if written_down:
        vault.run(client(LONG_A))
    assert vault.run(client(LONG_B))[LONG_B] == accounts.hashed_account_of(LONG_B)
    assert vault.run(client(LONG_A))[LONG_A] == CUT


def test_a_new_client_that_an_account_of_before_is_called_as_gets_a_hash() -> None:
    vault = Vault()
    vault.run_as_before("web.1")
    assert vault.run(client("web-1"))["web-1"] == accounts.hashed_account_of("web-1")


def shared_before() -> Vault:
    """Two runs with limits, as they were: the second one's key replaced the first one's."""
    vault = Vault()
    assert vault.run_as_before(LONG_A) == vault.run_as_before(LONG_B) == CUT
    return vault


BOTH = [client(LONG_A, logs_in_as=CUT), client(LONG_B, logs_in_as=CUT)]


@pytest.mark.parametrize("reached", [BOTH, BOTH[::-1], BOTH[:1]], ids=["both", "both, reversed", "the loser"])
def test_the_pair_of_a_collision_is_named_and_the_run_stops(reached: list[dict[str, Any]]) -> None:
    vault = shared_before()
    [problem] = vault.plan(*reached).problems
    assert problem.startswith(f"{LONG_A} logs in as {CUT}, and that account is {LONG_B}'s")
    assert f"papi_backup_move=true (the role: backup_ssh_target_move) {LONG_A} gets" in problem
    assert problem.endswith(f"If {LONG_A} is a new name of {LONG_B}, write it into {OWNERS}/{CUT}.")


@pytest.mark.parametrize("reached", [BOTH, BOTH[::-1]])
def test_only_the_loser_moves_once_it_may(reached: list[dict[str, Any]]) -> None:
    vault = shared_before()
    assert vault.run(*reached, move=True) == {LONG_A: accounts.account_of(LONG_A), LONG_B: CUT}
    moved = {
        account["name"]: account["moved"] for account in shared_before().plan(*reached, move=True).accounts
    }
    assert moved == {LONG_A: True, LONG_B: False}
    assert vault.run(client(LONG_A, logs_in_as=accounts.account_of(LONG_A)), BOTH[1])[LONG_B] == CUT


def test_the_loser_alone_moves_and_the_others_key_stays() -> None:
    vault = shared_before()
    vault.run(BOTH[0], move=True)
    assert vault.keys[CUT] == [f"key of {LONG_B}"]
    assert vault.run(BOTH[1]) == {LONG_B: CUT}


def test_the_winner_alone_is_not_stopped() -> None:
    assert shared_before().run(BOTH[1]) == {LONG_B: CUT}


def test_a_key_that_lies_in_anothers_account_is_a_question_for_the_operator() -> None:
    vault = Vault()
    vault.run_as_before("web1.example.com")
    renamed = {"name": "web1-example-com", "public_keys": ["key of web1.example.com"]}
    [problem] = vault.plan(renamed).problems
    assert "was web1.example.com's, and the key that lies there is web1-example-com's" in problem
    assert f"a new name of web1.example.com, write it into {OWNERS}/pb-web1-example-com" in problem
    vault.owners["pb-web1-example-com"] = "web1-example-com"
    assert vault.run(renamed) == {"web1-example-com": "pb-web1-example-com"}


def test_a_renamed_host_stops_and_keeps_its_account_where_the_operator_says_so() -> None:
    vault = Vault()
    vault.run(client("web1"))
    renamed = client("www1", logs_in_as="pb-web1")
    [problem] = vault.plan(renamed).problems
    assert problem.endswith(f"If www1 is a new name of web1, write it into {OWNERS}/pb-web1.")
    vault.owners["pb-web1"] = "www1"
    assert vault.run(renamed) == {"www1": "pb-web1"}


def test_without_a_comment_the_key_tells_whose_an_account_of_before_is() -> None:
    vault = shared_before()
    vault.comments[CUT] = ""
    assert vault.run(client(LONG_A), client(LONG_B)) == {LONG_A: accounts.account_of(LONG_A), LONG_B: CUT}


def test_without_any_word_on_it_one_account_is_not_given_to_two() -> None:
    vault = shared_before()
    vault.comments[CUT], vault.keys[CUT] = "", []
    [problem] = vault.plan(client(LONG_A), client(LONG_B)).problems
    assert problem.startswith(f"{LONG_A} and {LONG_B} would share the account {CUT}")


def test_the_comment_of_somebody_elses_account_tells_nothing() -> None:
    vault = Vault(comments={"mallory": "papi.backup of web1"}, strangers={"mallory"})
    assert vault.run(client("web1")) == {"web1": "pb-web1"}


def test_what_a_comment_holds_begins_no_line() -> None:
    forged = f"x\u2028[files]\u2028{OWNERS}/pb-web1:web2"
    vault = Vault(comments={"mallory": forged}, strangers={"mallory"})
    assert vault.run(client("web1")) == {"web1": "pb-web1"}


@pytest.mark.parametrize("written_down", [False, True])
@pytest.mark.parametrize("state", ["present", "absent"])
def test_a_given_account_that_is_anothers_is_refused(written_down: bool, state: str) -> None:
    vault = Vault()
    user = vault.run(client("a"))["a"] if written_down else vault.run_as_before("a")
    [problem] = vault.plan(client("b", user=user, state=state)).problems
    assert problem.startswith("The account pb-a is a's, and b would replace its keys")


def test_a_given_account_stays_its_clients_also_when_it_is_given_no_more() -> None:
    vault = Vault()
    assert vault.run(client("a", user="vaultuser")) == {"a": "vaultuser"}
    assert vault.run(client("a")) == {"a": "vaultuser"}


@pytest.mark.parametrize("user", ["../keys", "a/b", "-x", "", "a:b", "a\nb"])
def test_a_given_account_is_a_name_and_no_path(user: str) -> None:
    plan = Vault().plan(client("a", user=user))
    assert bool(plan.problems) == bool(user)
    assert all("/" not in account["user"] for account in plan.accounts)


def test_a_client_that_is_removed_takes_no_account_of_another_with_it() -> None:
    vault = Vault()
    vault.run_as_before(LONG_A)
    assert vault.run(client(LONG_B, state="absent")) == {}
    assert vault.run(client(LONG_A, state="absent")) == {LONG_A: CUT}


def test_the_backups_of_a_removed_client_are_nobody_elses() -> None:
    vault = Vault()
    vault.run_as_before("web.1")
    vault.run(client("web.1"))
    vault.run(client("web.1", state="absent"))
    assert vault.run(client("web-1"))["web-1"] == accounts.hashed_account_of("web-1")
    assert vault.run(client("web.1")) == {"web.1": "pb-web-1"}


def test_backups_without_an_account_are_a_question_for_the_operator() -> None:
    vault = Vault(directories={"pb-web-1"})
    [problem] = vault.plan(client("web-1")).problems
    assert f"write web-1 into {OWNERS}/pb-web-1, otherwise move it away" in problem
    assert vault.run(client("web-1", logs_in_as="pb-web-1")) == {"web-1": "pb-web-1"}


def test_a_storage_host_that_is_new_again_gives_the_accounts_that_agents_log_in_as() -> None:
    assert Vault().run(*BOTH[:1]) == {LONG_A: CUT}
    assert Vault().run(client("web1", logs_in_as="root")) == {"web1": "pb-web1"}


def test_an_agent_that_names_anothers_account_gets_nothing_of_it() -> None:
    vault = Vault()
    vault.run(client("a"), client("b"))
    plan = vault.plan(client("b", logs_in_as="pb-a"))
    assert (plan.problems, [account["user"] for account in plan.accounts]) == ([], ["pb-b"])


@pytest.mark.parametrize(
    ("place", "refused"),
    [
        ("0 755 /srv", False),
        ("0 2755 /srv", False),
        ("1000 755 /srv", True),
        ("0 775 /srv", True),
        ("0 1777 /srv", True),
    ],
)
def test_chroots_below_what_somebody_but_root_can_change_are_refused(place: str, refused: bool) -> None:
    vault = Vault(places=["0 711 /srv/papi-backup", place, "0 755 /"])
    problems = vault.plan(client("a")).problems
    assert bool(problems) == refused
    assert all(problem.startswith("/srv is not root's alone") for problem in problems)


def test_half_of_what_was_found_is_not_taken_for_all_of_it() -> None:
    whole = Vault().looked()
    with pytest.raises(ValueError, match="not whole"):
        accounts.Plan([client("a")], whole[: whole.index("[directories]")])


FLEET = ["web1", "web-1", "web.1", "WEB.1", LONG_A, LONG_B, LONG_A.upper()]
some = st.lists(st.sampled_from(FLEET), unique=True, min_size=1, max_size=4)


@settings(max_examples=40, deadline=None)
@given(
    before=st.lists(st.sampled_from(FLEET), max_size=6),
    runs=st.lists(st.tuples(some, st.booleans()), max_size=6),
)
def test_whatever_runs_came_before_no_account_changes_hands_and_who_had_one_keeps_it(
    before: list[str], runs: list[tuple[list[str], bool]]
) -> None:
    vault = Vault()
    logged_in: dict[str, str] = {}
    last: dict[str, str] = {}
    for name in before:
        logged_in[name] = vault.run_as_before(name)
        last[logged_in[name]] = name
    kept = {name: user for user, name in last.items()}
    for reached, move in runs:
        clients = [client(name, logs_in_as=logged_in.get(name, "")) for name in reached]
        owners, losers = (
            dict(vault.owners),
            [n for n in reached if n in logged_in and kept.get(n) != logged_in[n]],
        )
        plan = vault.plan(*clients, move=move)
        assert bool(plan.problems) == (bool(losers) and not move)
        assert all(
            any(problem.startswith(f"{name} logs in as ") for problem in plan.problems)
            for name in losers
            if not move
        )
        if plan.problems:
            continue
        given = vault.run(*clients, move=move)
        for name, user in given.items():
            assert kept.setdefault(name, user) == user
            logged_in[name] = user
            assert vault.keys[user] == [f"key of {name}"]
        assert {user: vault.owners[user] for user in owners} == owners
    assert len(set(kept.values())) == len(kept)
