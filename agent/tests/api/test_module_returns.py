# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What modules say that they return has the fields and types of the endpoint table's shapes.

Ansible has no fragments for what a module returns, so records stand in several modules.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from papi_backup.api import results
from papi_backup.api.results import NUMBER, TEXT
from papi_backup.api.shapes import (
    ConstantShape,
    Field,
    ListShape,
    MapShape,
    NumberShape,
    RecordShape,
    Shape,
    TextShape,
    TruthShape,
    record,
)

MODULES = Path(__file__).parents[3] / "plugins" / "modules"
TYPES = {TextShape: "str", ConstantShape: "str", NumberShape: "int", TruthShape: "bool", MapShape: "dict"}

NUMBERS = ListShape(NUMBER)
SCHEDULE = record(
    "",
    results.SCHEDULE.without("backup_type", "template", "day_run", "time_run").fields,
    Field("day_run", NUMBERS),
    Field("time_run", NUMBERS),
)
"""The modules leave out what is deprecated, and take lists apart that the API answers as texts."""

CONFIG = record("", results.GENERAL_CONFIG.fields, Field("full", SCHEDULE), Field("inc", SCHEDULE))
LAST = results.LAST_AND_NEXT.optionally("next_runs")
CONFIG_AND_LAST = record(
    "", CONFIG.fields, Field("last", record("", Field("full", LAST), Field("inc", LAST)))
)
BACKUP = record("", results.BACKUP.fields, Field("storage_name", TEXT), Field("backup_name", TEXT))
SSH_ID_AND_KEY = record("", results.SSH_ID.fields, Field("public_key", TEXT))


def either(*shapes: RecordShape) -> RecordShape:
    """Return a record with the fields of all; those that not all of them have may be absent."""
    fields = {field.name: field for shape in shapes for field in shape.fields}
    shared = set.intersection(*({field.name for field in shape.fields} for shape in shapes))
    return record("", [replace(field, optional=name not in shared) for name, field in fields.items()])


STORAGE = either(results.SSH_STORAGE, results.S3_STORAGE)


@dataclass(frozen=True)
class Returned:
    """What a module returns under a name."""

    module: str
    name: str
    shape: Shape


RETURNED = (
    Returned("backup_job", "job", results.JOB),
    Returned("backup_run", "job", results.JOB),
    Returned("backup_restore", "job", results.JOB),
    Returned("backup_job_info", "jobs", results.JOBS),
    Returned("backup_restore", "plan", results.RESTORE_PLAN),
    Returned("backup_agent_info", "agent", results.VERSIONS),
    Returned("backup_info", "backups", ListShape(BACKUP)),
    Returned("backup_info", "hostnames", results.HOST_NAMES),
    Returned("backup_ssh_id", "ssh_id", results.SSH_ID),
    Returned("backup_ssh_id_info", "ssh_ids", ListShape(SSH_ID_AND_KEY)),
    Returned("backup_storage", "storage", STORAGE),
    Returned("backup_storage_info", "storages", ListShape(STORAGE)),
    Returned("backup_config", "config", CONFIG),
    Returned("backup_config_info", "configs", ListShape(CONFIG_AND_LAST)),
)
OF_MODULES = {
    *("public_key", "error_code", "error_name", "removed_configs", "collection_version", "version_mismatch"),
    *("healthy", "stale_backups", "failed_backups", "jobs"),
}
"""What modules make themselves: no method answers it in this form."""


def documented(module: str) -> dict[str, Any]:
    """Return the RETURN block of a module."""
    for node in ast.parse((MODULES / f"{module}.py").read_text()).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "RETURN":
            found: dict[str, Any] = yaml.safe_load(ast.literal_eval(node.value))
            return found
    return {}


def rows_of_block(name: str, block: dict[str, Any]) -> Iterator[tuple[str, str, bool]]:
    """Yield each value's path, its type, and whether it is always there."""
    kind = f"list of {block['elements']}" if block["type"] == "list" else block["type"]
    yield name, kind, block["returned"] == "always"
    for inner, described in block.get("contains", {}).items():
        yield from rows_of_block(f"{name}.{inner}", described)


def rows_of_shape(name: str, shape: Shape, always: bool) -> Iterator[tuple[str, str, bool]]:
    """Yield the same of a shape."""
    item = shape.item if isinstance(shape, ListShape) else shape
    kind = "dict" if isinstance(item, RecordShape) else TYPES[type(item)]
    yield name, f"list of {kind}" if isinstance(shape, ListShape) else kind, always
    if isinstance(item, RecordShape):
        for field in item.fields:
            yield from rows_of_shape(f"{name}.{field.name}", field.shape, not field.optional)


def words_of_block(block: dict[str, Any]) -> dict[str, Any]:
    """Return what a block says of its values, without the samples."""
    said = {key: block[key] for key in ("description", "returned") if key in block}
    inner = {name: words_of_block(described) for name, described in block.get("contains", {}).items()}
    return said | ({"contains": inner} if inner else {})


@pytest.mark.parametrize("returned", RETURNED, ids=lambda returned: f"{returned.module}-{returned.name}")
def test_a_module_documents_the_fields_and_types_that_the_table_declares(returned: Returned) -> None:
    block = documented(returned.module)[returned.name]
    always = block["returned"] == "always"
    assert sorted(rows_of_block(returned.name, block)) == sorted(
        rows_of_shape(returned.name, returned.shape, always)
    )


def test_everything_that_a_module_returns_is_held_to_the_table_or_its_own() -> None:
    held = {(returned.module, returned.name) for returned in RETURNED}
    blocks = {(path.stem, name) for path in MODULES.glob("*.py") for name in documented(path.stem)}
    assert held <= blocks
    assert {name for module, name in blocks - held} == OF_MODULES


@pytest.mark.parametrize(
    ("one", "others"),
    [
        ("backup_job.job", ("backup_run.job", "backup_restore.job", "backup_job_info.jobs")),
        ("backup_storage.storage", ("backup_storage_info.storages",)),
        ("backup_config.config", ("backup_config_info.configs",)),
    ],
)
def test_a_record_that_stands_in_several_modules_says_the_same_in_each(
    one: str, others: tuple[str, ...]
) -> None:
    """Its identifier excepted: a thing that is only planned has none yet."""

    def words(place: str) -> dict[str, Any]:
        module, _dot, name = place.partition(".")
        block = documented(module)[name]["contains"]
        return {name: words_of_block(block[name]) for name in list(block)[1:]}

    for other in others:
        found, expected = words(other), words(one)
        assert {name: found[name] for name in expected} == expected, other
