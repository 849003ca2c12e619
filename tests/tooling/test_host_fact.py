# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host fact always answers: JSON and status 0, whatever has become of the agent's environment."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

ROLE = Path(__file__).parents[2] / "roles/backup_agent"
FACT = ROLE / "files/papi_backup.fact"
KEYS = ["version", "running", "last_success", "state_lost", "error"]
GOOD = (
    '{"version": "1.0.0", "running": true, "last_success": {"system": "2026-03-01 12:00:00"}, '
    '"state_lost": false, "error": ""}'
)


@dataclass(frozen=True)
class Host:
    """``/opt/papi-backup`` and the fact, elsewhere; a shell script stands for the environment's Python."""

    place: Path

    @property
    def python(self) -> Path:
        return self.place / "current/bin/python"

    def have_python(self, script: str) -> None:
        self.python.parent.mkdir(parents=True, exist_ok=True)
        self.python.write_text(script)
        self.python.chmod(0o755)

    def facts(self, seconds: float = 6, path: str | None = None) -> dict[str, object]:
        """Run the fact as Ansible does; it must end well and print one object with the keys it always has."""
        text = FACT.read_text().replace("/opt/papi-backup", str(self.place))
        text = text.replace("seconds=6\n", f"seconds={seconds}\n")
        if path is not None:
            text = text.replace("PATH=/usr/sbin:/usr/bin:/sbin:/bin\n", f"PATH={path}\n")
        fact = self.place / "papi_backup.fact"
        fact.write_text(text)
        fact.chmod(0o755)
        done = subprocess.run([fact], capture_output=True, check=False, timeout=20)
        assert (done.returncode, done.stderr) == (0, b"")
        told = json.loads(done.stdout.decode("utf-8"))
        assert list(told) == KEYS
        return dict(told)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_what_the_environment_tells_is_told(host: Host) -> None:
    host.have_python(f"#!/bin/sh\necho '{GOOD}'\n")
    assert host.facts() == json.loads(GOOD)


def test_the_environments_python_is_asked_apart_from_the_callers_settings(host: Host) -> None:
    host.have_python(f'#!/bin/sh\n[ "$1 $2 $3" = "-I -B {host.place}/host_facts.py" ] && echo \'{GOOD}\'\n')
    assert host.facts()["running"] is True


def test_an_environment_that_is_away_is_named_with_what_brings_it_back(host: Host) -> None:
    told = host.facts()
    assert told["running"] is False
    assert told["error"] == f"{host.python} is away; the role papi.backup.backup_agent makes it anew"


BROKEN = {
    "an interpreter that is away": "#!/usr/bin/python3.0\n",
    "not a program": "\x00\x01\x02",
    "a program that fails": "#!/bin/sh\nexit 1\n",
    "a program that kills itself": "#!/bin/sh\nkill -9 $$\n",
    "nothing": "#!/bin/sh\n",
    "words": "#!/bin/sh\necho 'Traceback (most recent call last):'\n",
    "the half of an object": f"#!/bin/sh\nprintf %s '{GOOD[:60]}'\n",
    "an object with a word that is not JSON": f"#!/bin/sh\necho '{GOOD.replace('true', 'True')}'\n",
    "an object with more behind it": f"#!/bin/sh\necho '{GOOD} {{}}'\n",
    "an object of another shape": '#!/bin/sh\necho \'{"version": "1.0.0"}\'\n',
    "a list": "#!/bin/sh\necho '[]'\n",
    "bytes that are no text": "#!/bin/sh\nprintf '\\377\\000\\376'\n",
    "a string with a byte that is no text": '#!/bin/sh\nprintf \'{"version": "\\377", "running": true, '
    '"last_success": {}, "state_lost": false, "error": ""}\\n\'\n',
    "a line without an end": "#!/bin/sh\nexec cat /dev/zero\n",
}


@pytest.mark.parametrize("script", BROKEN.values(), ids=BROKEN.keys())
def test_nothing_that_is_not_known_to_be_json_is_passed_on(host: Host, script: str) -> None:
    host.have_python(script)
    told = host.facts()
    assert told["running"] is False
    assert "the role papi.backup.backup_agent mends its Python" in str(told["error"])


def test_noise_of_the_environment_is_left_out(host: Host) -> None:
    host.have_python(f"#!/bin/sh\necho noise; echo noise >&2; echo '{GOOD}'; echo '{GOOD}'\n")
    assert host.facts() == json.loads(GOOD)


@pytest.mark.parametrize(
    "script",
    [
        "#!/bin/sh\nsleep 15\n",
        f"#!/bin/sh\necho '{GOOD}'; sleep 15\n",
        "#!/bin/sh\ntrap '' TERM; while :; do sleep 1; done\n",
        "#!/bin/sh\nsetsid sleep 15 & wait\n",
    ],
    ids=["hangs", "hangs after it has answered", "takes no signal", "leaves a process of another session"],
)
def test_what_hangs_is_waited_for_a_few_seconds(host: Host, script: str) -> None:
    host.have_python(script)
    began = time.monotonic()
    told = host.facts(seconds=0.2)
    assert time.monotonic() - began < 10
    assert "did not end within" in str(told["error"])
    running = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(host.python) not in running


@pytest.mark.parametrize("kept", ["", "sh head grep", "timeout sh head", "timeout sh grep"])
def test_programs_of_the_system_that_are_away_are_no_reason_to_fail(host: Host, kept: str) -> None:
    host.have_python(f"#!/bin/sh\necho '{GOOD}'\n")
    few = host.place / "few"
    few.mkdir()
    for name in kept.split():
        (few / name).symlink_to(str(shutil.which(name)))
    assert host.facts(path=str(few))["running"] is False


def matched(lines: list[str]) -> list[str]:
    """Return the lines that the fact would pass on."""
    shape = "\n".join(re.findall(r"^(?:text|last|shape)=.*", FACT.read_text(), re.MULTILINE))
    script = f'{shape}\ngrep -aEx -e "$shape"'
    done = subprocess.run(
        ["sh", "-c", script],
        input="".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape"),
        env=os.environ | {"LC_ALL": "C"},
        capture_output=True,
        check=False,
    )
    return done.stdout.decode("utf-8", "surrogateescape").splitlines()


any_text = st.text(st.characters(codec=None))
any_facts = st.tuples(
    any_text, st.booleans(), st.dictionaries(any_text, any_text, max_size=2), st.booleans(), any_text
).map(lambda values: dict(zip(KEYS, values, strict=True)))


@settings(max_examples=15, deadline=None)
@given(st.lists(any_facts, min_size=4, max_size=8))
def test_whatever_a_backup_is_called_its_facts_pass(told: list[dict[str, object]]) -> None:
    lines = [json.dumps(facts) for facts in told]
    assert matched(lines) == lines


@settings(max_examples=15, deadline=None)
@given(any_facts, st.text(st.sampled_from('"\\,:{} \t\x7fu0aä'), min_size=1, max_size=3))
def test_whatever_passes_is_json(told: dict[str, object], spoilt: str) -> None:
    line = json.dumps(told)
    lines = [line[:place] + spoilt + line[place + left :] for place in range(len(line)) for left in (0, 1)]
    for passed in matched(lines):
        assert list(json.loads(passed)) == KEYS


@pytest.fixture
def host_facts() -> ModuleType:
    """What the environment's Python runs."""
    spec = importlib.util.spec_from_file_location("host_facts", ROLE / "files/host_facts.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_an_agent_that_is_not_there_is_told_with_its_version(host_facts: ModuleType, tmp_path: Path) -> None:
    host_facts.SOCKET = str(tmp_path / "agent.sock")
    told = host_facts.facts()
    assert matched([json.dumps(told)]) == [json.dumps(told)]
    assert told["version"]
    assert told["running"] is False
    assert "the agent does not answer at" in told["error"]


def test_the_environments_python_prints_what_the_fact_passes_on(host: Host) -> None:
    host.have_python(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (host.place / "host_facts.py").write_text(
        (ROLE / "files/host_facts.py")
        .read_text()
        .replace("/run/papi-backup/agent.sock", "/nowhere/agent.sock")
    )
    told = host.facts()
    assert told["version"]
    assert "/nowhere/agent.sock" in str(told["error"])


def test_the_first_thing_that_an_uninstallation_removes_is_the_fact() -> None:
    first = yaml.safe_load((ROLE / "tasks/absent.yml").read_text())[0]["ansible.builtin.file"]
    assert first == {"path": "/etc/ansible/facts.d/papi_backup.fact", "state": "absent"}


def test_no_restore_replaces_the_fact() -> None:
    settings = (ROLE / "templates/agent.toml.j2").read_text()
    protected = settings[settings.index("protected_paths") : settings.index("]")]
    assert '"/etc/ansible/facts.d/papi_backup.fact"' in protected


def test_a_fact_that_is_there_is_mended_before_the_role_can_refuse_the_host() -> None:
    block = yaml.safe_load((ROLE / "tasks/main.yml").read_text())[0]["block"]
    first = [(task.get("ansible.builtin.include_tasks"), task.get("when")) for task in block[:4]]
    assert first == [
        (None, None),
        ("facts.yml", "backup_agent__fact.stat.exists"),
        ("look.yml", None),
        ("facts.yml", "not backup_agent__fact.stat.exists"),
    ]
