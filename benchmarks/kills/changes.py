# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes of an agent's configuration, one after the other, until the agent is killed."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass

from kills.client import Fields, KilledAgent, UnansweredError
from kills.faults import expect
from kills.points import Point, Victim

LONGEST = 1.0
"""Seconds after which the agent is killed at the latest."""

Kind = str
Model = dict[tuple[Kind, str], Fields]
"""What there is of each kind, by name, without the ids that the agent gives."""

SSH_ID, STORAGE, CONFIG = "ssh id", "storage", "configuration"
PREFIX = "changed-"
"""What the names of all that comes and goes begin with."""


@dataclass(frozen=True, slots=True)
class Change:
    """One call, and what there is once it is done."""

    path: str
    parameters: Fields
    after: Model


class Changes:
    """Calls an agent; ``model`` is what it has acknowledged."""

    def __init__(self, agent: KilledAgent) -> None:
        self._agent = agent
        self._model: Model = {}

    def killed(self, point: Point) -> str:
        """Change until the agent is dead, start it again, and compare; return words."""
        chance = random.Random(point.changes)  # noqa: S311 (repeatable, no secret)
        victim: Victim = "all" if point.victim in ("all", "helper") else "agent"
        pause = point.share * LONGEST
        timer = threading.Timer(pause, lambda: self._agent.kill(victim, lambda: True))
        timer.start()
        done, under_way = self._change_until_dead(chance)
        timer.join()
        self._agent.start_again()
        found = self._read()
        possible = [self._model, *([under_way.after] if under_way else [])]
        expect(found in possible, f"after {done} changes: {found} is none of {possible}")
        self._model = found
        last = f" in {under_way.path}" if under_way else ""
        return f"{victim} killed after {pause:.2f} s and {done} changes{last}"

    def _change_until_dead(self, chance: random.Random) -> tuple[int, Change | None]:
        """Return how many changes were acknowledged, and the one whose answer did not come."""
        done = 0
        while True:
            change = None
            try:
                change = self._next(chance)
                self._agent.call(change.path, **change.parameters)
            except UnansweredError:
                return done, change
            self._model = change.after
            done += 1

    def _next(self, chance: random.Random) -> Change:
        """Draw a change that can be made now."""
        names = {
            kind: sorted(name for its, name in self._model if its == kind)
            for kind in (SSH_ID, STORAGE, CONFIG)
        }
        ids = Ids(self._agent)
        drawn = chance.choice(
            (self._ssh_id, self._storage, self._storage, self._config, self._config, self._config)
        )
        return drawn(chance, names, ids)

    def _ssh_id(self, chance: random.Random, names: dict[Kind, list[str]], ids: Ids) -> Change:
        used = {fields.get("ssh_id") for fields in self._model.values()}
        free = [name for name in names[SSH_ID] if name not in used]
        if free and chance.random() < 0.5:
            name = chance.choice(free)
            return self._without("ssh-id/del", {"ssh_id_id": ids.ssh_id(name)}, SSH_ID, name)
        name = _name(chance)
        return self._with(
            "ssh-id/new", {"key_name": name, "key_length": 256}, SSH_ID, name, {"key_length": 256}
        )

    def _storage(self, chance: random.Random, names: dict[Kind, list[str]], ids: Ids) -> Change:
        if not names[SSH_ID]:
            return self._ssh_id(chance, names, ids)
        used = {fields.get("storage_name") for (kind, _name), fields in self._model.items() if kind == CONFIG}
        free = [name for name in names[STORAGE] if name not in used]
        draw = chance.random()
        if free and draw < 0.3:
            name = chance.choice(free)
            return self._without("storage/del", {"storage_id": ids.storage(name)}, STORAGE, name)
        name = chance.choice(names[STORAGE]) if names[STORAGE] and draw < 0.6 else _name(chance)
        edited = {"storage_id": ids.storage(name)} if name in names[STORAGE] else {}
        of_ssh = self._model[STORAGE, name]["type"] == "ssh" if edited else chance.random() < 0.5
        fields, parameters = _ssh(chance, names, ids) if of_ssh else _s3(chance)
        verb = "edit" if edited else "add"
        path = f"storage/{fields['type']}/{verb}"
        return self._with(path, {"storage_name": name, **parameters, **edited}, STORAGE, name, fields)

    def _config(self, chance: random.Random, names: dict[Kind, list[str]], ids: Ids) -> Change:
        if not names[STORAGE]:
            return self._storage(chance, names, ids)
        draw = chance.random()
        if names[CONFIG] and draw < 0.3:
            name = chance.choice(names[CONFIG])
            return self._without("backup-config/del", {"backup_id": ids.config(name)}, CONFIG, name)
        name = chance.choice(names[CONFIG]) if names[CONFIG] and draw < 0.6 else _name(chance)
        edited = {"backup_id": ids.config(name)} if name in names[CONFIG] else {}
        storage = chance.choice(names[STORAGE])
        paths = [f"/nowhere/{chance.randrange(1000)}" for _number in range(chance.randint(1, 3))]
        fields = {"storage_name": storage, "paths": paths, "excludes": [f"*.{chance.randrange(1000)}"]}
        parameters = {"backup_name": name, "storage_id": ids.storage(storage), "paths": paths}
        parameters |= {"excludes": fields["excludes"], **edited}
        verb = "edit" if edited else "add"
        return self._with(f"backup-config/{verb}", parameters, CONFIG, name, fields)

    def _with(self, path: str, parameters: Fields, kind: Kind, name: str, fields: Fields) -> Change:
        return Change(path, parameters, {**self._model, (kind, name): fields})

    def _without(self, path: str, parameters: Fields, kind: Kind, name: str) -> Change:
        return Change(
            path, parameters, {key: kept for key, kept in self._model.items() if key != (kind, name)}
        )

    def _read(self) -> Model:
        """Return what the agent tells."""
        model: Model = {}
        for one in _ours(self._agent.call("ssh-id/list")["data"], "key_name"):
            model[SSH_ID, one["key_name"]] = {"key_length": one["key_length"]}
        for one in _ours(self._agent.call("storage/list")["data"], "storage_name"):
            told = _SSH_TOLD if one["type"] == "ssh" else _S3_TOLD
            model[STORAGE, one["storage_name"]] = {name: one[name] for name in told}
        for one in _ours(self._agent.call("backup-config/list")["data"], "backup_name"):
            general = self._agent.call("backup-config/get", backup_name=one["backup_name"])["data"]["config"]
            model[CONFIG, one["backup_name"]] = {name: general[name] for name in _CONFIG_TOLD}
        return model


class Ids:
    """The ids of things, by name, as the agent tells them now."""

    def __init__(self, agent: KilledAgent) -> None:
        self._agent = agent

    def ssh_id(self, name: str) -> int:
        """Return the id of an SSH id."""
        return self._of("ssh-id/list", "key_name", "ssh_id_id", name)

    def storage(self, name: str) -> int:
        """Return the id of a storage."""
        return self._of("storage/list", "storage_name", "storage_id", name)

    def config(self, name: str) -> int:
        """Return the id of a configuration."""
        return self._of("backup-config/list", "backup_name", "backup_id", name)

    def _of(self, path: str, key: str, number: str, name: str) -> int:
        return int(next(one[number] for one in self._agent.call(path)["data"] if one[key] == name))


_SSH_TOLD = ("type", "server_name", "ssh_port", "ssh_id", "storage_base")
_S3_TOLD = ("type", "aws_key_id", "aws_secret_key", "bucket_name", "file_size", "prefix")
_CONFIG_TOLD = ("storage_name", "paths", "excludes")


def _ssh(chance: random.Random, names: dict[Kind, list[str]], ids: Ids) -> tuple[Fields, Fields]:
    """Return what is told of an SSH storage, and what is sent for it."""
    ssh_id, base = chance.choice(names[SSH_ID]), f"/nowhere/{chance.randrange(1 << 30)}"
    fields = {"server_name": "storage.example", "ssh_port": chance.randint(1, 65535), "storage_base": base}
    sent = {**fields, "ssh_username": "backup", "ssh_id_id": ids.ssh_id(ssh_id)}
    return {**fields, "type": "ssh", "ssh_id": ssh_id}, sent


def _s3(chance: random.Random) -> tuple[Fields, Fields]:
    """Return the same of a bucket."""
    sent = {
        "aws_key_id": f"id{chance.randrange(1 << 30)}",
        "aws_secret_key": f"secret{chance.randrange(1 << 30)}",
        "bucket_name": f"bucket{chance.randrange(1 << 30)}",
        "file_size": chance.randint(1, 100),
        "prefix": f"p{chance.randrange(1 << 30)}",
    }
    return {**sent, "type": "s3"}, sent


def _name(chance: random.Random) -> str:
    return f"{PREFIX}{chance.getrandbits(40):x}"


def _ours(found: list[Fields], key: str) -> list[Fields]:
    return [one for one in found if one[key].startswith(PREFIX)]
