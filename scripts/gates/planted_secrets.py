# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gives planted secrets to every module under ``-vvv --diff`` and searches what was written for them."""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from gates.place import BIN, CACHE, collection_copy
from gates.tally import GateError, Tally
from realparts.everything import Facts, everything
from realparts.process import ServerError

_PLAYBOOKS = Path("tests", "planted_secrets")
_PLANTED = ("encryption_key", "second_key", "wrong_secret", "wrong_password", "token", "canary")
_REAL = ("it_s3_secret_key", "it_password")
_MODULE_FILE = re.compile(r"Using module file \S+/papi/backup/plugins/modules/(\w+)\.py")
_PRIVATE_KEY = "PRIVATE KEY"


@dataclass(frozen=True, slots=True)
class _Scene:
    """What a run works with."""

    copy: Path
    place: Path
    facts: Facts
    planted: Mapping[str, str]

    def play(self, name: str, *arguments: str) -> tuple[int, str]:
        """Run one of the playbooks at full volume, with a log file beside the output."""
        variables = self.place / "variables.json"
        variables.touch(mode=0o600)
        variables.write_text(json.dumps({**self.facts, **self.planted}))
        command = [str(BIN / "ansible-playbook"), str(self.copy / _PLAYBOOKS / name), "-i", "localhost,"]
        command += [
            "-vvv",
            "--diff",
            "-e",
            f"@{variables}",
            "-e",
            f"ansible_python_interpreter={sys.executable}",
        ]
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")},
            "ANSIBLE_COLLECTIONS_PATH": str(self.copy.parents[2]),
            "ANSIBLE_HOME": str(self.place / "ansible"),
            "ANSIBLE_LOG_PATH": str(self.place / "ansible.log"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_LOCALHOST_WARNING": "0",
        }
        done = subprocess.run(
            [*command, *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        return done.returncode, done.stdout

    def written(self) -> Iterator[tuple[str, bytes]]:
        """Yield what the servers and Ansible have written beside the output: logs, and the agent's state."""
        agent_log = Path(str(self.facts["it_agent_log"]))
        yield "the agent's journal", agent_log.read_bytes()
        yield "Ansible's log", (self.place / "ansible.log").read_bytes()
        for path in sorted(self.place.rglob("*")):
            if path.is_file() and (path.suffix == ".log" or "state" in path.parts) and path != agent_log:
                yield path.name, path.read_bytes()


def look_for_secrets() -> Tally:
    """First a canary must be found, then nothing; each module must have been run each time."""
    copy = collection_copy("secrets")
    planted = {f"planted_{name}": f"planted-{name}-{secrets.token_hex(8)}" for name in _PLANTED}
    with tempfile.TemporaryDirectory(prefix="papi-planted-") as directory:
        try:
            with everything(Path(directory)) as facts:
                return _search(_Scene(copy, Path(directory), facts, planted))
        except ServerError as error:
            raise GateError(f"the servers did not start: {error}") from error


def _search(scene: _Scene) -> Tally:
    status, output = scene.play("canary.yml")
    tally = _canary(scene, status, output)
    hidden = {name: value for name, value in scene.planted.items() if name != "planted_canary"}
    hidden.update({name: str(scene.facts[name]) for name in _REAL})
    for title, arguments in (
        ("in check mode", ["--check"]),
        ("for real", []),
        ("in check mode again", ["--check"]),
    ):
        status, output = scene.play("every_module.yml", *arguments)
        tally += _quiet(f"the output {title}", output.encode(), hidden)
        tally += _ran_all(scene, title, status, output)
    for place, text in scene.written():
        tally += _quiet(place, text, hidden)
    return tally


def _canary(scene: _Scene, status: int, output: str) -> Tally:
    """The search is worth nothing unless it finds what was leaked on purpose."""
    if status:
        return Tally(0, (f"the canary's playbook failed: {output.strip()[-1500:]}",))
    canary = {"planted_canary": scene.planted["planted_canary"]}
    places = {"the output": output.encode(), **dict(scene.written())}
    missed = [
        place
        for place in ("the output", "the agent's journal", "Ansible's log")
        if not _found(places[place], canary)
    ]
    return Tally(3 - len(missed), tuple(f"the canary was not found in {place}" for place in missed))


def _ran_all(scene: _Scene, title: str, status: int, output: str) -> Tally:
    modules = {path.stem for path in (scene.copy / "plugins" / "modules").glob("*.py")}
    missing = sorted(modules - set(_MODULE_FILE.findall(output)))
    failures = tuple(f"{name} was not run {title}" for name in missing)
    if status:
        log = CACHE / "secrets.log"
        log.write_text(output)
        failures += (f"the playbook failed {title}; all of it is in {log}",)
    return Tally(len(modules) - len(missing), failures)


def _quiet(place: str, text: bytes, hidden: Mapping[str, str]) -> Tally:
    found = _found(text, hidden)
    if _PRIVATE_KEY.encode() in text:
        found.append("a private key")
    return Tally(len(hidden) + 1 - len(found), tuple(f"{name} shows in {place}" for name in found))


def _found(text: bytes, hidden: Mapping[str, str]) -> list[str]:
    return [name for name, value in hidden.items() if any(form in text for form in _forms(value))]


def _forms(secret: str) -> set[bytes]:
    """A secret as it is, in a URL and in base64."""
    raw = secret.encode()
    return {raw, quote(secret, safe="").encode(), base64.b64encode(raw).rstrip(b"=")[:-1]}
