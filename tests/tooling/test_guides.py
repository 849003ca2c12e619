# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the guides and READMEs show would run: options, variables and playbooks exist as written."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

REPOSITORY = Path(__file__).parents[2]
GUIDES = sorted((REPOSITORY / "docs/docsite/rst").glob("*.rst"))
MODULES = sorted((REPOSITORY / "plugins/modules").glob("backup_*.py"))
PAGES = [*GUIDES, REPOSITORY / "README.md", *sorted(REPOSITORY.glob("roles/*/README.md"))]
_RST_BLOCK = re.compile(
    r"^(?P<indent> *)\.\. code-block:: (?P<kind>\S+)\n\n(?P<text>(?:(?P=indent) +\S.*\n|\n)+)", re.M
)
_MARKDOWN_BLOCK = re.compile(r"^```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.M | re.S)
_TEMPLATE = re.compile(r"{{.*}}")
_MODULE = re.compile(r"papi\.backup\.(\w+)")
_EXTRA_VARIABLE = re.compile(r"""-e '?(?:\{")?(papi_backup_\w+)""")


def blocks(page: Path, *kinds: str) -> list[str]:
    """Return the code blocks of these kinds, without their indentation."""
    text = page.read_text()
    pattern = _RST_BLOCK if page.suffix == ".rst" else _MARKDOWN_BLOCK
    found = [match for match in pattern.finditer(text) if match["kind"] in kinds]
    return [_outdented(match["text"]) for match in found]


def _outdented(text: str) -> str:
    lines = text.splitlines()
    margin = min(len(line) - len(line.lstrip()) for line in lines if line.strip())
    return "\n".join(line[margin:] for line in lines) + "\n"


def documents(page: Path) -> list[Any]:
    if page.suffix == ".py":
        return [yaml.safe_load(quoted(page, "EXAMPLES"))]
    return [yaml.safe_load(block) for block in blocks(page, "yaml", "yaml+jinja")]


def quoted(module: Path, name: str) -> str:
    """Return the text that a module's file gives that name."""
    found = re.search(rf'^{name} = r"""(.*?)"""', module.read_text(), re.S | re.M)
    assert found, f"{module.name} has no {name}"
    return found[1]


def things(data: Any) -> Iterator[tuple[str, Any]]:
    """Yield every key with its value, however deep."""
    if isinstance(data, dict):
        for key, value in data.items():
            yield str(key), value
            yield from things(value)
    elif isinstance(data, list):
        for one in data:
            yield from things(one)


def options_of(module: str) -> dict[str, Any]:
    """Return the documented options of a module as an argument spec, its fragments included."""
    documented = yaml.safe_load(quoted(REPOSITORY / f"plugins/modules/{module}.py", "DOCUMENTATION"))
    options = dict(documented["options"])
    for fragment in documented["extends_documentation_fragment"]:
        name = fragment.split(".")[2]
        shared = (REPOSITORY / f"plugins/doc_fragments/{name}.py").read_text()
        first = re.search(r' DOCUMENTATION = r"""(.*?)"""', shared, re.S)
        assert first
        options.update(yaml.safe_load(first[1])["options"] or {})
    return spec_of(options)


def spec_of(options: dict[str, Any]) -> dict[str, Any]:
    spec = {}
    for name, option in options.items():
        kept = {
            key: option[key]
            for key in ("type", "elements", "choices", "aliases", "required")
            if key in option
        }
        inner = option.get("suboptions") or (
            option.get("options") if option.get("type") in ("dict", "list") else None
        )
        spec[name] = kept | ({"options": spec_of(inner)} if inner else {})
    return spec


def complaints(spec: dict[str, Any], given: dict[str, Any]) -> list[str]:
    """Return what an argument spec has against options; a template may become anything."""
    known = {name: value for name, value in given.items() if not _is_template(value)}
    names = {*spec, *(alias for option in spec.values() for alias in option.get("aliases", ()))}
    unknown = [f"{name} is no option" for name in given if name not in names]
    return unknown + list(ArgumentSpecValidator(_without_demands(spec, given)).validate(known).error_messages)


def _is_template(value: Any) -> bool:
    return isinstance(value, str) and _TEMPLATE.search(value) is not None


def _without_demands(spec: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """A required option that is given as a template is there."""
    return {
        name: option | ({"required": False} if _is_template(given.get(name)) else {})
        for name, option in spec.items()
    }


def role_spec(role: str) -> dict[str, Any]:
    path = REPOSITORY / f"roles/{role}/meta/argument_specs.yml"
    return spec_of(yaml.safe_load(path.read_text())["argument_specs"]["main"]["options"])


@pytest.mark.parametrize("page", [*PAGES, *MODULES], ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_options_of_modules_and_variables_of_roles_are_as_documented(page: Path) -> None:
    found = []
    for document in documents(page):
        for key, value in things(document):
            name = _MODULE.fullmatch(key)
            if name and (REPOSITORY / f"plugins/modules/{name[1]}.py").exists():
                found += [f"{key}: {one}" for one in complaints(options_of(name[1]), value or {})]
            elif name and name[1] != "backup_events":
                found.append(f"there is no module {key}")
            if key == "role" and str(value).startswith("papi.backup."):
                assert (REPOSITORY / "roles" / value.rpartition(".")[2]).is_dir(), value
            if key == "roles":
                for role in value:
                    own = role.get("vars", {})
                    found += complaints(role_spec(role["role"].rpartition(".")[2]), own)
            if key.startswith("backup_agent_"):
                spec = role_spec("backup_agent")
                found += complaints({key: spec[key]} if key in spec else {}, {key: value})
            if key in ("backup_agent_ssh_ids", "backup_agent_storages", "backup_agent_configs"):
                module = {
                    "ssh_ids": "backup_ssh_id",
                    "storages": "backup_storage",
                    "configs": "backup_config",
                }
                for one in value:
                    found += complaints(options_of(module[key.removeprefix("backup_agent_")]), one)
            if key == "papi_backup_configs":
                for one in value:
                    found += complaints(options_of("backup_config"), one)
    assert found == []


def test_a_wrong_option_would_be_found() -> None:
    spec = options_of("backup_config")
    schedule = {"period": "weekly", "hours": [2]}
    assert complaints(spec, {"backup_name": "x", "full": schedule})
    assert complaints(spec, {"backup_name": "x", "path": "/etc"})
    assert complaints(spec, {"backup_name": "x", "full": {"period": "often"}})
    assert complaints(spec, {"storage_name": "x"})
    assert complaints(role_spec("backup_agent"), {"backup_agent_jobs": {"patience": 1}})
    assert not complaints(spec, {"backup_name": "{{ x }}", "full": {"period": "weekly", "time_list": [0]}})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_playbooks_that_are_called_exist_and_know_the_variables_that_they_are_given(page: Path) -> None:
    text = page.read_text()
    commands = " ".join(blocks(page, "shell", "")).replace("\\\n", " ")
    for line in commands.splitlines():
        called = re.search(r"ansible-playbook .*papi\.backup\.(\w+)", line)
        if called:
            playbook = (REPOSITORY / f"playbooks/{called[1]}.yml").read_text()
            for variable in _EXTRA_VARIABLE.findall(line):
                assert variable in playbook, f"{called[1]}: {variable}"
    everything = "".join(path.read_text() for path in (REPOSITORY / "playbooks").glob("*.yml"))
    everything += (REPOSITORY / "extensions/eda/rulebooks/backup_alerts.yml").read_text()
    for variable in set(re.findall(r"\bpapi_backup_(?!\w*\.)\w+", text)):
        assert variable in everything, variable


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.stem)
def test_blocks_of_json_are_json(page: Path) -> None:
    for block in blocks(page, "json"):
        assert json.loads(block)["Version"] == "2012-10-17"


def test_every_guide_is_listed_and_has_blocks_that_are_looked_at() -> None:
    listed = yaml.safe_load((REPOSITORY / "docs/docsite/extra-docs.yml").read_text())["sections"]
    names = [name for section in listed for name in section["toctree"]]
    assert sorted(names) == [page.stem for page in GUIDES]
    assert all(documents(page) for page in GUIDES)


def test_every_module_is_in_the_action_group() -> None:
    runtime = yaml.safe_load((REPOSITORY / "meta/runtime.yml").read_text())
    assert sorted(runtime["action_groups"]["all"]) == [path.stem for path in MODULES]


def test_the_policy_of_the_guide_names_the_calls_that_the_agent_makes() -> None:
    sources = (REPOSITORY / "agent/src/papi_backup/engine/storage").glob("s3*.py")
    text = "".join(path.read_text() for path in sources)
    made = set(re.findall(r'(?:call|_persist(?:ed)?|_publish)\(\s*"(\w+)"', text)) | set(
        re.findall(r"_client\.(\w+)\(", text)
    )
    guide = (REPOSITORY / "docs/docsite/rst/guide_s3_policy.rst").read_text()
    named = {word.rstrip("V2") for word in re.findall(r"``([A-Z]\w+)``", guide)}
    assert {
        "".join(part.capitalize() for part in call.removesuffix("_v2").split("_"))
        for call in made - {"close"}
    } == named
