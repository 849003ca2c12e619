# -*- coding: utf-8 -*-
# SPDX-FileCopyrightText: papi.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which account of a storage host is which client's: the one place where accounts get their names.

Two clients never share an account, also where one run knows of one of them only: what a client has is decided by what
the storage host has written down, and a new account's name is like no other client's.

Private to papi.backup: it may change in any release.
"""

from __future__ import annotations

import hashlib
import re

OWNERS = "/etc/ssh/papi-backup/owners"
KEYS = "/etc/ssh/papi-backup/keys"
PREFIX = "pb-"
LONGEST = 32
"""Characters of a user's name; useradd takes no more."""

_HASH = 8
_COMMENT = "papi.backup of "
_ENDS_AS_A_HASH = re.compile("-[0-9a-f]{%d}$" % _HASH)
_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


def account_of(name):
    """Return the name of a new account: the client's where an account can be called so, else one with a hash of it."""
    if name and name == _spelt(name) and len(PREFIX + name) <= LONGEST and not _ENDS_AS_A_HASH.search(name):
        return PREFIX + name
    return hashed_account_of(name)


def hashed_account_of(name):
    """Return a name that no other client's account has, as long as eight hexadecimal digits of SHA-256 differ."""
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:_HASH]
    return "%s%s-%s" % (PREFIX, _spelt(name)[: LONGEST - len(PREFIX) - 1 - _HASH], digest)


def earlier_account_of(name):
    """Return the name that accounts had before they had hashes; clients could share one."""
    return (PREFIX + _spelt(name))[:LONGEST]


def _spelt(name):
    return re.sub("[^a-z0-9-]", "-", name.lower())


class Server:
    """What the role's task "Look at what is there" has found on a storage host."""

    def __init__(self, looked):
        sections = _sections(looked)
        passwd = [line.split(":") for line in sections["accounts"] if line.count(":") >= 6]
        self.accounts = {fields[0]: fields[4] for fields in passwd}
        self.members = {name for line in sections["group"] for name in line.rpartition(":")[2].split(",")}
        self.directories = set(sections["directories"])
        self.places = [line.split(" ", 2) for line in sections["places"]]
        self.owners, self.keys = {}, {}
        for line in sections["files"]:
            path, dummy, text = line.partition(":")
            kind, dummy, user = path.rpartition("/")
            if kind == OWNERS:
                self.owners.setdefault(user, text)
            elif kind == KEYS and text.strip():
                self.keys.setdefault(user, set()).add(text.strip())

    def owner(self, user):
        """Return whose account it is; empty where nothing tells.

        Accounts of before owners were written down tell by their comment, which only root can have written: that of the
        client which had the account last.
        """
        comment = self.accounts.get(user, "")
        if user in self.owners or user not in self.members or not comment.startswith(_COMMENT):
            return self.owners.get(user, "")
        return comment[len(_COMMENT) :]

    def accounts_of(self, name):
        """Return the accounts of a client, those that are written down first."""
        users = sorted(set(self.accounts) | set(self.owners), key=lambda user: (user not in self.owners, user))
        return [user for user in users if self.owner(user) == name]

    def unsafe_places(self):
        """Return a sentence on each directory at or above the chroots that somebody but root can change."""
        found = {path: (uid, mode) for uid, mode, path in self.places if uid != "0" or int(mode, 8) & 0o022}
        words = (
            "%s is not root's alone (uid %s, mode %s), and who can change it could have root write elsewhere, and sshd "
            "refuses such a chroot: give it to root, chmod go-w, or set backup_ssh_target_base to another directory."
        )
        return [words % (path, uid, mode) for path, (uid, mode) in sorted(found.items())]


def _sections(looked):
    """Return the lines of each section; raises ValueError where the last one is not there."""
    sections, lines = {}, []
    for line in looked.split("\n"):
        if line.startswith("[") and line.endswith("]"):
            lines = sections.setdefault(line[1:-1], [])
        else:
            lines.append(line)
    if "end" not in sections:
        raise ValueError("what was found on the storage host is not whole")
    return sections


class Refusal(Exception):
    """What a client wants and cannot have; its words name the account, whose it is, and what to do."""


class Plan:
    """The accounts of clients on one storage host."""

    def __init__(self, clients, looked, move=False):
        self.server = Server(looked)
        self.clients = [dict(client, public_keys=_stripped(client.get("public_keys"))) for client in clients]
        self.move = move
        self.accounts = []
        self.problems = self.server.unsafe_places()
        for client in self.clients:
            try:
                self._add(client)
            except Refusal as refusal:
                self.problems.append(str(refusal))
        self._refuse_shared()

    def _add(self, client):
        present = client.get("state", "present") == "present"
        users = [self._present(client)] if present else self._absent(client)
        told = {"name": client["name"], "public_keys": client["public_keys"], "state": "present" if present else "absent"}
        now = client.get("logs_in_as") or ""
        self.accounts.extend(dict(told, user=user, moved=now not in ("", user)) for user in users)

    def _refuse_shared(self):
        names = {}
        for account in self.accounts:
            names.setdefault(account["user"], []).append(account["name"])
        for user, sharing in sorted(names.items()):
            if len(sharing) > 1:
                self.problems.append(
                    "%s would share the account %s and could read each other's backups; give them different names, "
                    "and different \"user\"s if any." % (" and ".join(sharing), user)
                )

    def _absent(self, client):
        """Return what there is of a client: never what is another's."""
        name, user = client["name"], client.get("user")
        if user:
            self._refuse_foreign(name, user)
            return [user]
        return self.server.accounts_of(name) or self._earlier(client)

    def _present(self, client):
        name, user = client["name"], client.get("user")
        if user:
            self._refuse_foreign(name, user)
            return user
        now = client.get("logs_in_as") or ""
        mine = self.server.accounts_of(name)
        if now in mine:
            return now
        found = mine[:1] or self._earlier(client)
        return found[0] if found else self._new(name, now)

    def _refuse_foreign(self, name, user):
        if not _USER.fullmatch(user):
            raise Refusal("%s: an account cannot be called %r." % (name, user))
        owner = self.server.owner(user)
        if owner not in ("", name):
            raise Refusal(
                'The account %s is %s\'s, and %s would replace its keys and read its backups. Give %s another "user". %s'
                % (user, owner, name, name, _same_host(name, owner, user))
            )

    def _earlier(self, client):
        """Return the account of before owners were written down that is the client's, if any, in a list."""
        name, user = client["name"], earlier_account_of(client["name"])
        owner = self.server.owner(user)
        lying = self.server.keys.get(user, set())
        here = bool(lying.intersection(client["public_keys"]))
        if user not in self.server.accounts or user in self.server.owners:
            return []
        if owner and here:
            raise Refusal(
                "The account %s was %s's, and the key that lies there is %s's. %s Otherwise give them different keys."
                % (user, owner, name, _same_host(name, owner, user))
            )
        others = (other for other in self.clients if other is not client and earlier_account_of(other["name"]) == user)
        anothers = any(lying.intersection(other["public_keys"]) for other in others)
        return [] if owner or (anothers and not here) else [user]

    def _new(self, name, now):
        """Return the name of an account that is made; a client whose account is another's has to be allowed to move."""
        user = account_of(name)
        if self._is_taken(user):
            user = hashed_account_of(name)
        owner = self.server.owner(now)
        if owner and not self.move:
            raise Refusal(
                "%s logs in as %s, and that account is %s's: names that were cut alike gave two hosts one account. %s keeps it. "
                "With papi_backup_move=true (the role: backup_ssh_target_move) %s gets an account of its own, %s, in which its "
                "backups begin anew with a full one; those of before stay in %s. %s"
                % (name, now, owner, owner, name, user, now, _same_host(name, owner, now))
            )
        if now in (account_of(name), hashed_account_of(name), earlier_account_of(name)) and not self._is_taken(now):
            return now
        self._refuse_foreign(name, user)
        if user in self.server.directories and user != hashed_account_of(name):
            raise Refusal(
                "There is a directory %s of backups without an account: if it is %s's, write %s into %s/%s, otherwise move "
                "it away." % (user, name, name, OWNERS, user)
            )
        return user

    def _is_taken(self, user):
        return user in self.server.accounts or user in self.server.owners


def _stripped(keys):
    return [key.strip() for key in keys or []]


def _same_host(name, owner, user):
    return "If %s is a new name of %s, write it into %s/%s." % (name, owner, OWNERS, user)
