# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the collection's modules and the endpoint table say the same."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from papi_backup.api.kinds import Boolean, Choice, Integer, IntegerList, SecretText, TextList
from papi_backup.api.parameters import Parameter
from papi_backup.api.results import JOB
from papi_backup.api.shapes import TextShape
from papi_backup.api.table import ENDPOINTS
from papi_backup.api.table import METHODS as SPEC_METHODS
from papi_backup.model.errors import BY_CODE

REPOSITORY = Path(__file__).parents[3]
METHODS = {endpoint.name: endpoint for endpoint in ENDPOINTS}
SCHEDULE = ("period", "frequency", "time_list", "day_run", "time_run")
WAIT = ("wait", "wait_timeout", "wait_sleep")
FILTERS_OF_JOBS = ("backup_name", "backup_type", "job_id", "job_status", "job_type")
WITHOUT_OPTIONS = {
    *("delete_storage", "delete_backup_config", "delete_ssh_id", "get_backup_config"),
    *("test_storage", "test_backup_config"),
}
"""Modules call these by an id or a name that they found: no option of theirs is a parameter."""


@dataclass(frozen=True)
class Agreement:
    """``own``: options the API has not.  ``found``: parameters that the module finds or makes itself."""

    module: str
    methods: tuple[str, ...]
    own: tuple[str, ...] = ()
    found: tuple[str, ...] = ()


AGREEMENTS = (
    Agreement(
        "backup_storage",
        ("add_storage_ssh", "edit_storage_ssh", "add_storage_s3", "edit_storage_s3"),
        ("state", "type", "ssh_id", "test", "remove_configs"),
        ("storage_id", "ssh_id_id", "dry_run"),
    ),
    Agreement(
        "backup_config",
        ("add_backup_config", "update_backup_config"),
        ("state", "storage_name", "test"),
        ("backup_id", "storage_id", "dry_run"),
    ),
    Agreement("backup_run", ("run_backup",), WAIT, ("request_id", "timezone", "dry_run")),
    Agreement("backup_job", ("cancel_job",), (*WAIT, "state"), ("timezone", "dry_run")),
    Agreement("backup_restore", ("restore_backup",), WAIT, ("request_id", "dry_run")),
    Agreement("backup_ssh_id", ("generate_new_ssh_id",), ("state", "regenerate"), ("dry_run",)),
    Agreement("backup_info", ("list_backups", "list_hostnames"), ("backup_name", "gather")),
    Agreement("backup_config_info", ("list_backup_config",), ("backup_name", "storage_name")),
    Agreement(
        "backup_agent_info",
        ("version", "list_backup_config", "list_jobs"),
        ("backup_name", "stale_after_hours"),
        ("timezone",),
    ),
    Agreement("backup_job_info", ("list_jobs",), FILTERS_OF_JOBS, ("timezone",)),
    Agreement("backup_ssh_id_info", ("list_ssh_ids", "get_pub_ssh_id"), ("key_name",), ("ssh_id_id",)),
    Agreement("backup_storage_info", ("list_storages",), ("storage_name", "type")),
)


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The package of the modules, importable as Ansible imports them."""
    root = tmp_path_factory.mktemp("collections")
    namespace = root / "ansible_collections" / "papi"
    namespace.mkdir(parents=True)
    (namespace / "backup").symlink_to(REPOSITORY)
    sys.path.insert(0, str(root))
    importlib.invalidate_caches()
    yield "ansible_collections.papi.backup.plugins"
    sys.path.remove(str(root))
    for name in [name for name in sys.modules if name.partition(".")[0] == "ansible_collections"]:
        del sys.modules[name]


def options_of(package: str, module: str) -> dict[str, dict[str, Any]]:
    """Return a module's options but those that reach the agent; schedules flat, as parameters are."""
    spec = importlib.import_module(f"{package}.modules.{module}").ARGUMENT_SPEC.options
    reaching = importlib.import_module(f"{package}.module_utils._argspec").AGENT.options
    options = {name: option for name, option in spec.items() if name not in reaching}
    for kind in ("full", "inc"):
        nested = options.pop(kind, {}).get("options", {})
        options |= {f"schedule_{kind}_{name}": option for name, option in nested.items()}
    return options


def expected_type(parameter: Parameter) -> tuple[str, str | None]:
    match parameter.kind:
        case Integer():
            return "int", None
        case Boolean():
            return "bool", None
        case IntegerList():
            return "list", "int"
        case TextList():
            return "list", "str"
        case unused:
            del unused
            return "str", None


def disagreements(parameter: Parameter, option: dict[str, Any]) -> Iterator[str]:
    name = parameter.name
    if (option["type"], option.get("elements")) != expected_type(parameter):
        yield f"{name}: {option['type']} of {option.get('elements')}, not {expected_type(parameter)}"
    if isinstance(parameter.kind, Choice) and tuple(option.get("choices", ())) != parameter.kind.words:
        yield f"{name}: its choices are not {parameter.kind.words}"
    if isinstance(parameter.kind, SecretText) != bool(option.get("no_log")):
        yield f"{name}: no_log is {option.get('no_log')}"
    if "default" in option and parameter.default is not None:
        default = option["default"]
        if (tuple(default) if isinstance(default, list) else default) != parameter.default:
            yield f"{name}: its default is {default!r}, not {parameter.default!r}"
    if option.get("required") and not parameter.required and not name.startswith("schedule_"):
        yield f"{name}: the module requires it, the API does not"


def test_every_module_is_held_to_the_table_and_so_is_every_method_of_the_spec() -> None:
    modules = {path.stem for path in (REPOSITORY / "plugins" / "modules").glob("backup_*.py")}
    assert {agreement.module for agreement in AGREEMENTS} == modules
    held = {method for agreement in AGREEMENTS for method in agreement.methods}
    assert {endpoint.name for endpoint in SPEC_METHODS} - held == WITHOUT_OPTIONS


@pytest.mark.parametrize("agreement", AGREEMENTS, ids=lambda agreement: agreement.module)
def test_the_options_of_a_module_are_the_parameters_of_its_methods(
    modules: str, agreement: Agreement
) -> None:
    options = options_of(modules, agreement.module)
    parameters = {
        parameter.name: parameter for method in agreement.methods for parameter in METHODS[method].parameters
    }
    shared = {name: option for name, option in options.items() if name not in agreement.own}
    assert shared.keys() == parameters.keys() - set(agreement.found)
    assert [line for name in shared for line in disagreements(parameters[name], shared[name])] == []


def test_the_choices_of_a_filter_of_jobs_are_the_words_of_the_answer(modules: str) -> None:
    words = {field.name: field.shape.words for field in JOB.fields if isinstance(field.shape, TextShape)}
    choices = {
        name: tuple(option["choices"])
        for name, option in options_of(modules, "backup_job_info").items()
        if "choices" in option
    }
    assert choices.keys() == {"backup_type", "job_status", "job_type"}
    assert choices == {name: words[name] for name in choices}


def test_modules_name_the_defaults_of_the_table(modules: str) -> None:
    ssh_id = importlib.import_module(f"{modules}.modules.backup_ssh_id")
    (length,) = (one for one in METHODS["generate_new_ssh_id"].parameters if one.name == "key_length")
    assert length.default == ssh_id.DEFAULT_KEY_LENGTH
    config = importlib.import_module(f"{modules}.modules.backup_config")
    assert config.SCHEDULE_FIELDS == SCHEDULE
    for kind in config.BACKUP_TYPES:
        defaults = {one.name: one.default for one in METHODS["add_backup_config"].parameters}
        for name, value in config.NO_SCHEDULE.items():
            told = defaults[f"schedule_{kind}_{name}"]
            assert (list(told) if isinstance(told, tuple) else told) == value


def test_the_modules_know_every_code_by_its_name(modules: str) -> None:
    errors = importlib.import_module(f"{modules}.module_utils._errors")
    assert {code: error.name for code, error in BY_CODE.items()}.items() <= errors.ERROR_NAMES.items()
