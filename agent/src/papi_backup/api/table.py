# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The endpoint table: what the Backup API has, and the one place that says so.

Routing, permissions, the checking of parameters, the OpenAPI document and docs/api.md follow it.  Paths are
below ``/papi/``; each also takes the extensions of :data:`papi_backup.api.envelope.FORMATS`.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from papi_backup.api import (
    config_handlers,
    fields,
    job_handlers,
    results,
    session_handlers,
    ssh_id_handlers,
    storage_handlers,
)
from papi_backup.api.call import Answer, Call, Handler
from papi_backup.api.endpoint import CHANGE, READ, AsksStorages, Endpoint
from papi_backup.api.envelope import DEFAULT_FORMAT, encode
from papi_backup.api.gate import CREDENTIALS
from papi_backup.api.openapi import openapi_document
from papi_backup.api.parameters import Parameter
from papi_backup.api.shapes import ConstantShape, Field, RecordShape, Shape
from papi_backup.model.errors import NoSuchEntityError

UNKNOWN = (NoSuchEntityError,)
PONG = ConstantShape("pong")


def _read(
    path: str,
    name: str,
    handler: Handler,
    summary: str,
    result: Shape,
    *parameters: Parameter,
    unknown: bool = False,
    asks_storages: AsksStorages = "",
    beside: tuple[Field, ...] = (),
) -> Endpoint:
    return Endpoint(
        path=f"backup/{path}",
        name=name,
        http_methods=READ,
        handler=handler,
        summary=summary,
        parameters=parameters,
        asks_storages=asks_storages,
        result=result,
        beside=beside,
        failures=UNKNOWN if unknown else (),
    )


def _change(
    path: str,
    name: str,
    handler: Handler,
    summary: str,
    thing: RecordShape,
    *parameters: Parameter,
    unknown: bool = True,
) -> Endpoint:
    return Endpoint(
        path=f"backup/{path}",
        name=name,
        http_methods=CHANGE,
        handler=handler,
        summary=summary,
        parameters=(*parameters, fields.DRY_RUN),
        access="administrator",
        plan=results.change_of(thing),
        failures=UNKNOWN if unknown else (),
    )


_STORAGES = (
    _read(
        "storage/list",
        "list_storages",
        storage_handlers.list_storages,
        "List the storages, in the order in which they were added.",
        results.STORAGES,
    ),
    _change(
        "storage/ssh/add",
        "add_storage_ssh",
        storage_handlers.add_storage_ssh,
        "Add an SSH storage.",
        results.SSH_STORAGE,
        *fields.SSH_FIELDS,
    ),
    _change(
        "storage/ssh/edit",
        "edit_storage_ssh",
        storage_handlers.edit_storage_ssh,
        "Edit an SSH storage.",
        results.SSH_STORAGE,
        fields.STORAGE_ID,
        *fields.SSH_FIELDS,
    ),
    _change(
        "storage/s3/add",
        "add_storage_s3",
        storage_handlers.add_storage_s3,
        "Add an S3 storage.",
        results.S3_STORAGE,
        *fields.s3_fields(new=True),
        unknown=False,
    ),
    _change(
        "storage/s3/edit",
        "edit_storage_s3",
        storage_handlers.edit_storage_s3,
        "Edit an S3 storage.",
        results.S3_STORAGE,
        fields.STORAGE_ID,
        *fields.s3_fields(new=False),
    ),
    Endpoint(
        path="backup/storage/del",
        name="delete_storage",
        http_methods=CHANGE,
        handler=storage_handlers.delete_storage,
        summary="Delete a storage that no backup configuration uses.  What it holds stays.",
        parameters=(fields.STORAGE_ID, fields.DRY_RUN),
        access="administrator",
        plan=results.change_of_either(results.SSH_STORAGE, results.S3_STORAGE),
        failures=UNKNOWN,
    ),
    _read(
        "storage/test",
        "test_storage",
        storage_handlers.check_storage,
        "Test a storage: what a backup needs of it is tried.",
        results.SUCCESS,
        fields.STORAGE_NAME,
        unknown=True,
        asks_storages="test",
        beside=(results.STEPS,),
    ),
)

_JOBS = (
    _read(
        "job/list",
        "list_jobs",
        job_handlers.list_jobs,
        "List the jobs, in the order in which they were added.",
        results.JOBS,
        fields.TIMEZONE,
    ),
    Endpoint(
        path="backup/backup/run",
        name="run_backup",
        http_methods=CHANGE,
        handler=job_handlers.run_backup,
        summary="Run a backup.  The call only queues a job.",
        parameters=(
            fields.BACKUP_NAME,
            fields.BACKUP_TYPE,
            fields.REQUEST_ID,
            fields.TIMEZONE,
            fields.DRY_RUN,
        ),
        access="administrator",
        plan=results.change_of(results.JOB),
        beside=(results.JOB_ID,),
        failures=UNKNOWN,
    ),
    Endpoint(
        path="backup/backup/restore",
        name="restore_backup",
        http_methods=CHANGE,
        handler=job_handlers.restore_backup,
        summary="Restore a backup.  The call only queues a job; `dry_run` asks the storage for a plan.",
        parameters=(*fields.RESTORE_FIELDS, fields.DRY_RUN),
        access="administrator",
        asks_storages="dry_run",
        plan=results.RESTORE_PLAN,
        beside=(results.JOB_ID,),
        failures=UNKNOWN,
    ),
    _read(
        "backup/list",
        "list_backups",
        job_handlers.list_backups,
        "List the backups of a host by storage and name, oldest first.",
        results.BACKUPS,
        fields.ANY_STORAGE_NAME,
        fields.HOSTNAME,
        fields.TIMEZONE,
        fields.DATE_FROM,
        fields.DATE_TO,
        unknown=True,
        asks_storages="list",
    ),
    _read(
        "backup/list-hostname",
        "list_hostnames",
        job_handlers.list_hostnames,
        "List the hosts that have backups by storage.",
        results.HOST_NAMES,
        fields.ANY_STORAGE_NAME,
        unknown=True,
        asks_storages="list",
    ),
)

_CONFIGS = (
    _change(
        "backup-config/add",
        "add_backup_config",
        config_handlers.add_backup_config,
        "Add a backup configuration.",
        results.FLAT_CONFIG,
        *fields.CONFIG_FIELDS,
    ),
    _change(
        "backup-config/edit",
        "update_backup_config",
        config_handlers.update_backup_config,
        "Edit a backup configuration.",
        results.FLAT_CONFIG,
        fields.BACKUP_ID,
        *fields.CONFIG_FIELDS,
    ),
    _read(
        "backup-config/list",
        "list_backup_config",
        config_handlers.list_backup_config,
        "List the backup configurations with their last jobs and their next runs.",
        results.CONFIG_STATUSES,
        fields.TIMEZONE,
    ),
    _read(
        "backup-config/get",
        "get_backup_config",
        config_handlers.get_backup_config,
        "Get a backup configuration with its schedules and their next runs.",
        results.CONFIG_DESCRIPTION,
        fields.BACKUP_NAME,
        fields.RUNS_TIMEZONE,
        unknown=True,
    ),
    _change(
        "backup-config/del",
        "delete_backup_config",
        config_handlers.delete_backup_config,
        "Delete a backup configuration.  Its backups stay.",
        results.FLAT_CONFIG,
        fields.BACKUP_ID,
    ),
    _read(
        "backup-config/test",
        "test_backup_config",
        config_handlers.check_backup_config,
        "Test a backup configuration: its sources, its storage, room for the next backup, its chain's key.",
        results.SUCCESS,
        fields.BACKUP_ID,
        unknown=True,
        asks_storages="test",
        beside=(results.STEPS,),
    ),
)

_SSH_IDS = (
    _read(
        "ssh-id/list",
        "list_ssh_ids",
        ssh_id_handlers.list_ssh_ids,
        "List the SSH ids, in the order in which they were made.",
        results.SSH_IDS,
    ),
    _change(
        "ssh-id/new",
        "generate_new_ssh_id",
        ssh_id_handlers.generate_new_ssh_id,
        "Make an SSH id.  Its private part never leaves the host.",
        results.SSH_ID,
        fields.KEY_NAME,
        fields.KEY_LENGTH,
        unknown=False,
    ),
    _change(
        "ssh-id/del",
        "delete_ssh_id",
        ssh_id_handlers.delete_ssh_id,
        "Delete an SSH id that no storage uses.",
        results.SSH_ID,
        fields.SSH_ID_ID,
    ),
    _read(
        "ssh-id/get-pub",
        "get_pub_ssh_id",
        ssh_id_handlers.get_pub_ssh_id,
        "Get the public part of an SSH id.",
        results.PUBLIC_KEY,
        fields.SSH_ID_ID,
        unknown=True,
    ),
)

METHODS: tuple[Endpoint, ...] = (*_STORAGES, *_JOBS, *_CONFIGS, *_SSH_IDS)
"""The 22 methods of the spec."""

EXTENSIONS: tuple[Endpoint, ...] = (
    Endpoint(
        path="backup/job/cancel",
        name="cancel_job",
        http_methods=CHANGE,
        handler=job_handlers.cancel_job,
        summary="Cancel a job that waits or runs; one that has ended stays as it is.",
        parameters=(fields.JOB_ID, fields.TIMEZONE, fields.DRY_RUN),
        access="administrator",
        plan=results.change_of(results.JOB),
        beside=(results.JOB_STATUS_NOW,),
        failures=UNKNOWN,
    ),
    _read(
        "version",
        "version",
        session_handlers.version,
        "Tell the versions of the agent, its API and its format.",
        results.VERSIONS,
    ),
)
"""Methods that the spec has not (docs/api_conventions.md, "Extensions")."""


def _describe(call: Call) -> Answer:
    """Answer the OpenAPI document of this very table."""
    del call
    return Answer(document=_description())


@cache
def _description() -> bytes:
    """Return the document, made once: anybody may ask for it, and to make it takes long."""
    return encode(openapi_document(ENDPOINTS), DEFAULT_FORMAT)


_WAYS_IN = (
    Endpoint(
        path="login",
        name="login",
        http_methods=READ,
        handler=session_handlers.login,
        summary="Log in: the answer sets the session's cookie.",
        parameters=CREDENTIALS,
        access="open",
        result=ConstantShape("true"),
    ),
    Endpoint(
        path="logout",
        name="logout",
        http_methods=READ,
        handler=session_handlers.logout,
        summary="End the session.",
        access="open",
    ),
    Endpoint(
        path="ping",
        name="ping",
        http_methods=READ,
        handler=session_handlers.ping,
        summary="Say that the agent answers.",
        access="open",
        result=PONG,
    ),
    Endpoint(
        path="backup/ping",
        name="backup_ping",
        http_methods=READ,
        handler=session_handlers.ping,
        summary="Say that the agent answers.",
        access="open",
        result=PONG,
    ),
    Endpoint(
        path="backup/openapi.json",
        name="openapi",
        http_methods=READ,
        handler=_describe,
        summary="The OpenAPI document of this API, without an envelope.",
        access="open",
        result=results.OPENAPI,
        bare=True,
    ),
)

ENDPOINTS: tuple[Endpoint, ...] = (*METHODS, *EXTENSIONS, *_WAYS_IN)


def by_path(endpoints: Iterable[Endpoint] = ENDPOINTS) -> dict[str, Endpoint]:
    """Return the endpoints by their whole path without extension."""
    return {f"/papi/{endpoint.path}": endpoint for endpoint in endpoints}
