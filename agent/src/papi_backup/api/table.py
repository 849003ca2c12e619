# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The endpoint table: what the Backup API has, and the one place that says so.

Routing, permissions and the checking of parameters follow it.  Paths are below ``/papi/``; each also
takes the extensions of :data:`papi_backup.api.envelope.FORMATS`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from papi_backup.api import (
    checks,
    config_handlers,
    job_handlers,
    session_handlers,
    ssh_id_handlers,
    storage_handlers,
)
from papi_backup.api.call import Handler
from papi_backup.api.gate import CREDENTIALS
from papi_backup.api.kinds import (
    IDENTIFIER,
    Boolean,
    Choice,
    Date,
    Integer,
    IntegerList,
    SecretText,
    Text,
    TextList,
    Zone,
)
from papi_backup.api.parameters import Parameter
from papi_backup.model.job import OVERWRITE_POLICIES
from papi_backup.model.schedule import PERIODS, BackupType
from papi_backup.model.secret import NO_SECRET
from papi_backup.services.schedules import MAXIMUM_FREQUENCY
from papi_backup.services.ssh_ids import DEFAULT_KEY_LENGTH

Method = Literal["GET", "POST"]
READ: tuple[Method, ...] = ("GET", "POST")
CHANGE: tuple[Method, ...] = ("POST",)

_MAXIMUM_FILE_SIZE = 5 * 1024 * 1024
"""Mebibytes: the largest object that S3 holds."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method.

    ``access``: open to everybody, to every account, or to administrators only.
    ``asks_storages``: it may take as long as a storage does.
    """

    path: str
    name: str
    http_methods: tuple[Method, ...]
    handler: Handler
    parameters: tuple[Parameter, ...] = ()
    access: Literal["open", "account", "administrator"] = "account"
    asks_storages: bool = False


_NAME = Text(check=checks.name)
_PATHS = TextList(Text(4096, checks.absolute_path, undecodable=True))
_PATTERNS = TextList(Text(4096, checks.pattern, undecodable=True))

DRY_RUN = Parameter("dry_run", Boolean(), default=False, extension=True)
REQUEST_ID = Parameter("request_id", Text(check=checks.request_id), default="", extension=True)
TIMEZONE = Parameter("timezone", Zone())
STORAGE_ID = Parameter("storage_id", IDENTIFIER, required=True)
STORAGE_NAME = Parameter("storage_name", _NAME, required=True)
ANY_STORAGE_NAME = Parameter("storage_name", _NAME, default="")
SSH_ID_ID = Parameter("ssh_id_id", IDENTIFIER, required=True)
BACKUP_ID = Parameter("backup_id", IDENTIFIER, required=True)
BACKUP_NAME = Parameter("backup_name", _NAME, required=True)
HOSTNAME = Parameter("hostname", Text(check=checks.host_name), default="")

SSH_FIELDS = (
    STORAGE_NAME,
    Parameter("server_name", Text(check=checks.server_name), required=True),
    Parameter("ssh_port", Integer(1, 65535), required=True),
    Parameter("ssh_username", Text(256, checks.word), required=True),
    SSH_ID_ID,
    Parameter("storage_base", Text(check=checks.absolute_path), required=True),
    Parameter("host_key", Text(16384, checks.host_key), keeps_blank=True, extension=True),
)


def _s3_fields(*, new: bool) -> tuple[Parameter, ...]:
    """A new storage needs a secret; an edited one keeps its own where none is given."""
    return (
        STORAGE_NAME,
        Parameter("aws_key_id", Text(256, checks.word), required=True),
        Parameter("aws_secret_key", SecretText(), required=new, keeps_blank=not new),
        Parameter("file_size", Integer(1, _MAXIMUM_FILE_SIZE), required=True),
        Parameter("bucket_name", Text(check=checks.bucket_name), required=True),
        Parameter("endpoint_url", Text(2048, checks.endpoint_url), keeps_blank=True, extension=True),
        Parameter("region", Text(check=checks.region), keeps_blank=True, extension=True),
        Parameter("prefix", Text(check=checks.prefix), keeps_blank=True, extension=True),
    )


def _schedule(kind: BackupType) -> tuple[Parameter, ...]:
    """Which lists a period takes is checked with the period, in papi_backup.services.schedules."""
    stem = f"schedule_{kind}_"
    return (
        Parameter(f"{stem}period", Choice(PERIODS), default="deactivated"),
        Parameter(f"{stem}frequency", Integer(1, MAXIMUM_FREQUENCY), default=1),
        Parameter(f"{stem}time_list", IntegerList(0, 31), default=()),
        Parameter(f"{stem}day_run", IntegerList(1, 31), default=()),
        Parameter(f"{stem}time_run", IntegerList(0, 23), default=()),
    )


CONFIG_FIELDS = (
    BACKUP_NAME,
    STORAGE_ID,
    Parameter("encryption_key", SecretText(4096, may_be_blank=True), keeps_blank=True),
    *_schedule("full"),
    *_schedule("inc"),
    Parameter("paths", _PATHS, keeps_blank=True, extension=True),
    Parameter("excludes", _PATTERNS, keeps_blank=True, extension=True),
)

RESTORE_FIELDS = (
    STORAGE_NAME,
    BACKUP_NAME,
    Parameter("restore_date", Date(), required=True),
    Parameter("encryption_key", SecretText(4096, may_be_blank=True), default=NO_SECRET),
    TIMEZONE,
    HOSTNAME,
    Parameter("target_dir", Text(4096, checks.absolute_path, undecodable=True), default="", extension=True),
    Parameter("include", _PATTERNS, default=(), extension=True),
    Parameter("overwrite", Choice(OVERWRITE_POLICIES), default="changed", extension=True),
    REQUEST_ID,
)


def _read(
    path: str, name: str, handler: Handler, *parameters: Parameter, asks_storages: bool = False
) -> Endpoint:
    return Endpoint(f"backup/{path}", name, READ, handler, parameters, asks_storages=asks_storages)


def _change(
    path: str, name: str, handler: Handler, *parameters: Parameter, asks_storages: bool = False
) -> Endpoint:
    return Endpoint(
        f"backup/{path}", name, CHANGE, handler, (*parameters, DRY_RUN), "administrator", asks_storages
    )


_STORAGES = (
    _read("storage/list", "list_storages", storage_handlers.list_storages),
    _change("storage/ssh/add", "add_storage_ssh", storage_handlers.add_storage_ssh, *SSH_FIELDS),
    _change(
        "storage/ssh/edit", "edit_storage_ssh", storage_handlers.edit_storage_ssh, STORAGE_ID, *SSH_FIELDS
    ),
    _change("storage/s3/add", "add_storage_s3", storage_handlers.add_storage_s3, *_s3_fields(new=True)),
    _change(
        "storage/s3/edit",
        "edit_storage_s3",
        storage_handlers.edit_storage_s3,
        STORAGE_ID,
        *_s3_fields(new=False),
    ),
    _change("storage/del", "delete_storage", storage_handlers.delete_storage, STORAGE_ID),
    _read("storage/test", "test_storage", storage_handlers.check_storage, STORAGE_NAME, asks_storages=True),
)

_JOBS = (
    _read("job/list", "list_jobs", job_handlers.list_jobs, TIMEZONE),
    _change(
        "backup/run",
        "run_backup",
        job_handlers.run_backup,
        BACKUP_NAME,
        Parameter("backup_type", Choice(("full", "inc")), required=True),
        REQUEST_ID,
        TIMEZONE,
    ),
    _change(
        "backup/restore", "restore_backup", job_handlers.restore_backup, *RESTORE_FIELDS, asks_storages=True
    ),
    _read(
        "backup/list",
        "list_backups",
        job_handlers.list_backups,
        ANY_STORAGE_NAME,
        HOSTNAME,
        TIMEZONE,
        Parameter("date_from", Date()),
        Parameter("date_to", Date()),
        asks_storages=True,
    ),
    _read(
        "backup/list-hostname",
        "list_hostnames",
        job_handlers.list_hostnames,
        ANY_STORAGE_NAME,
        asks_storages=True,
    ),
)

_CONFIGS = (
    _change("backup-config/add", "add_backup_config", config_handlers.add_backup_config, *CONFIG_FIELDS),
    _change(
        "backup-config/edit",
        "update_backup_config",
        config_handlers.update_backup_config,
        BACKUP_ID,
        *CONFIG_FIELDS,
    ),
    _read("backup-config/list", "list_backup_config", config_handlers.list_backup_config, TIMEZONE),
    _read("backup-config/get", "get_backup_config", config_handlers.get_backup_config, BACKUP_NAME),
    _change("backup-config/del", "delete_backup_config", config_handlers.delete_backup_config, BACKUP_ID),
    _read(
        "backup-config/test",
        "test_backup_config",
        config_handlers.check_backup_config,
        BACKUP_ID,
        asks_storages=True,
    ),
)

_SSH_IDS = (
    _read("ssh-id/list", "list_ssh_ids", ssh_id_handlers.list_ssh_ids),
    _change(
        "ssh-id/new",
        "generate_new_ssh_id",
        ssh_id_handlers.generate_new_ssh_id,
        Parameter("key_name", _NAME, required=True),
        Parameter("key_length", Integer(1, 16384), default=DEFAULT_KEY_LENGTH),
    ),
    _change("ssh-id/del", "delete_ssh_id", ssh_id_handlers.delete_ssh_id, SSH_ID_ID),
    _read("ssh-id/get-pub", "get_pub_ssh_id", ssh_id_handlers.get_pub_ssh_id, SSH_ID_ID),
)

METHODS: tuple[Endpoint, ...] = (*_STORAGES, *_JOBS, *_CONFIGS, *_SSH_IDS)
"""The 22 methods of the spec."""

_WAYS_IN = (
    Endpoint("login", "login", READ, session_handlers.login, CREDENTIALS, access="open"),
    Endpoint("logout", "logout", READ, session_handlers.logout, access="open"),
    Endpoint("ping", "ping", READ, session_handlers.ping, access="open"),
    Endpoint("backup/ping", "backup_ping", READ, session_handlers.ping, access="open"),
    Endpoint("backup/version", "version", READ, session_handlers.version),
)

ENDPOINTS: tuple[Endpoint, ...] = (*METHODS, *_WAYS_IN)


def by_path(endpoints: Iterable[Endpoint] = ENDPOINTS) -> dict[str, Endpoint]:
    """Return the endpoints by their whole path without extension."""
    return {f"/papi/{endpoint.path}": endpoint for endpoint in endpoints}
