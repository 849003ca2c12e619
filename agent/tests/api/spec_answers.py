# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What successful answers hold, written down a second time, from the spec: names and types of fields.

Nothing here comes from the endpoint table, which it checks.  Fields that the spec has not are extensions:
they may stand beside these, and nothing here is about them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

TEXT, NUMBER, TRUTH = str, int, bool
SUCCESS = "success"


@dataclass(frozen=True)
class Each:
    """A list of equals."""

    item: Spec


@dataclass(frozen=True)
class ByName:
    """A dictionary by names that users gave."""

    value: Spec


@dataclass(frozen=True)
class Either:
    """One of two, told apart by the entry ``type``."""

    by_type: Mapping[str, Mapping[str, Spec]]


Spec = str | type | Each | ByName | Either | Mapping[str, "Spec"]

SSH_STORAGE: Mapping[str, Spec] = {
    "storage_name": TEXT,
    "type": "ssh",
    "username": TEXT,
    "server_name": TEXT,
    "ssh_port": NUMBER,
    "ssh_id": TEXT,
    "storage_base": TEXT,
    "storage_id": NUMBER,
    "ssh_id_id": NUMBER,
}
S3_STORAGE: Mapping[str, Spec] = {
    "storage_name": TEXT,
    "type": "s3",
    "aws_key_id": TEXT,
    "aws_secret_key": TEXT,
    "bucket_name": TEXT,
    "file_size": NUMBER,
    "storage_id": NUMBER,
}
JOB: Mapping[str, Spec] = {
    "job_status": TEXT,
    "description": TEXT,
    "backup_name": TEXT,
    "backup_type": TEXT,
    "start_date": TEXT,
    "end_date": TEXT,
    "job_type": TEXT,
    "job_id": NUMBER,
    "size_transferred": NUMBER,
    "size_transferred_human": TEXT,
}
BACKUP: Mapping[str, Spec] = {
    "date": TEXT,
    "path": TEXT,
    "full": TRUTH,
    "encrypted": TRUTH,
    "hostname": TEXT,
}
LAST_BACKUP: Mapping[str, Spec] = {
    "job_status": TEXT,
    "description": TEXT,
    "start_date": TEXT,
    "end_date": TEXT,
}
GENERAL_CONFIG: Mapping[str, Spec] = {
    "backup_id": NUMBER,
    "backup_name": TEXT,
    "storage_name": TEXT,
    "encryption_key": TEXT,
}
SCHEDULE: Mapping[str, Spec] = {
    "period": TEXT,
    "frequency": NUMBER,
    "time_list": Each(NUMBER),
    "day_run": TEXT,
    "time_run": TEXT,
    "backup_type": TEXT,
    "template": TEXT,
}

ANSWERS: dict[str, Spec] = {
    "list_storages": Each(Either({"ssh": SSH_STORAGE, "s3": S3_STORAGE})),
    "add_storage_ssh": SUCCESS,
    "edit_storage_ssh": SUCCESS,
    "add_storage_s3": SUCCESS,
    "edit_storage_s3": SUCCESS,
    "delete_storage": SUCCESS,
    "test_storage": SUCCESS,
    "list_jobs": Each(JOB),
    "run_backup": SUCCESS,
    "restore_backup": SUCCESS,
    "list_backups": ByName(ByName(Each(BACKUP))),
    "list_hostnames": ByName(Each(TEXT)),
    "add_backup_config": SUCCESS,
    "update_backup_config": SUCCESS,
    "list_backup_config": Each({**GENERAL_CONFIG, "full": LAST_BACKUP, "inc": LAST_BACKUP}),
    "get_backup_config": {"config": GENERAL_CONFIG, "full": SCHEDULE, "inc": SCHEDULE},
    "delete_backup_config": SUCCESS,
    "test_backup_config": SUCCESS,
    "list_ssh_ids": Each({"ssh_id_id": NUMBER, "key_name": TEXT, "key_length": NUMBER}),
    "generate_new_ssh_id": SUCCESS,
    "delete_ssh_id": SUCCESS,
    "get_pub_ssh_id": {"pub_key": TEXT},
}


def _is_just(value: object, kind: type) -> bool:
    """Whether a value is of a type; a boolean is no number."""
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def departures(spec: Spec, value: object, where: str = "data") -> Iterator[str]:
    """Tell where an answer departs from the spec."""
    match spec:
        case str():
            yield from [] if value == spec else [f"{where} is {value!r}, not {spec!r}"]
        case type():
            yield from [] if _is_just(value, spec) else [f"{where} is {value!r}, which is no {spec.__name__}"]
        case Each(inner) if isinstance(value, list):
            for number, each in enumerate(value):
                yield from departures(inner, each, f"{where}[{number}]")
        case ByName(inner) if isinstance(value, dict):
            for name, each in value.items():
                yield from departures(inner, each, f"{where}[{name!r}]")
        case Either(by_type) if isinstance(value, dict) and value.get("type") in by_type:
            yield from departures(by_type[value["type"]], value, where)
        case Mapping() if isinstance(value, dict):
            for name, inner in spec.items():
                yield from departures(inner, value.get(name), f"{where}.{name}")
        case unfit:
            yield f"{where} is {type(value).__name__}, which does not fit {type(unfit).__name__}"
