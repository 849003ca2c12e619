# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parameters of the endpoint table: type, bounds, and what they mean."""

from __future__ import annotations

from dataclasses import replace

from papi_backup.api import checks
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
from papi_backup.services.ssh_ids import DEFAULT_KEY_LENGTH, ED25519_LENGTH, RSA_LENGTHS

_MAXIMUM_FILE_SIZE = 5 * 1024 * 1024
"""Mebibytes: the largest object that S3 holds."""

_NAME = Text(check=checks.name)
_PATHS = TextList(Text(4096, checks.absolute_path, undecodable=True))
_PATTERNS = TextList(Text(4096, checks.pattern, undecodable=True))

DRY_RUN = Parameter(
    "dry_run",
    Boolean(),
    default=False,
    extension=True,
    meaning="Validate everything, change nothing, and answer what would change.",
)
REQUEST_ID = Parameter(
    "request_id",
    Text(check=checks.request_id),
    default="",
    extension=True,
    meaning="Your own name for this call: repeated, the call returns the same job.",
)
TIMEZONE = Parameter("timezone", Zone(), meaning="Zone of all dates without offset; default: the agent's.")
RUNS_TIMEZONE = replace(TIMEZONE, extension=True, meaning="Zone of the next runs; default: the agent's.")
"""For a method that tells no other date: the spec gives it no zone."""
STORAGE_ID = Parameter("storage_id", IDENTIFIER, required=True, meaning="Identifier of the storage.")
STORAGE_NAME = Parameter("storage_name", _NAME, required=True, meaning="Name of the storage.")
ANY_STORAGE_NAME = Parameter("storage_name", _NAME, default="", meaning="Name of a storage; default: all.")
SSH_ID_ID = Parameter("ssh_id_id", IDENTIFIER, required=True, meaning="Identifier of the SSH id.")
JOB_ID = Parameter("job_id", IDENTIFIER, required=True, meaning="Identifier of the job.")
BACKUP_ID = Parameter(
    "backup_id", IDENTIFIER, required=True, meaning="Identifier of the backup configuration."
)
BACKUP_NAME = Parameter("backup_name", _NAME, required=True, meaning="Name of the backup configuration.")
BACKUP_TYPE = Parameter("backup_type", Choice(("full", "inc")), required=True, meaning="Type of the backup.")
HOSTNAME = Parameter(
    "hostname", Text(check=checks.host_name), default="", meaning="Name of the host; default: this one."
)
DATE_FROM = Parameter("date_from", Date(), meaning="Lower bound, included; a bare date: its start.")
DATE_TO = Parameter("date_to", Date(), meaning="Upper bound, included; a bare date: its end.")
KEY_NAME = Parameter("key_name", _NAME, required=True, meaning="Name of the SSH id.")
KEY_LENGTH = Parameter(
    "key_length",
    Integer(ED25519_LENGTH, RSA_LENGTHS[-1]),
    default=DEFAULT_KEY_LENGTH,
    meaning=(
        f"Bits of an RSA key, {RSA_LENGTHS[0]} to {RSA_LENGTHS[-1]} in steps of {RSA_LENGTHS.step};"
        f" {ED25519_LENGTH} makes an Ed25519 key."
    ),
)

SSH_FIELDS = (
    STORAGE_NAME,
    Parameter(
        "server_name", Text(check=checks.server_name), required=True, meaning="Name or address of the server."
    ),
    Parameter("ssh_port", Integer(1, 65535), required=True, meaning="Port of the SSH server."),
    Parameter("ssh_username", Text(256, checks.word), required=True, meaning="User name on the server."),
    SSH_ID_ID,
    Parameter(
        "storage_base",
        Text(check=checks.absolute_path),
        required=True,
        meaning="Directory on the server that holds the backups.",
    ),
    Parameter(
        "host_key",
        Text(16384, checks.host_key),
        keeps_blank=True,
        extension=True,
        meaning="The server's key; empty: the first successful contact remembers it."
        " Absent from an edit: as it was, or empty where `server_name` or `ssh_port` changes.",
    ),
)


def s3_fields(*, new: bool) -> tuple[Parameter, ...]:
    """A new storage needs a secret; an edited one keeps its own where none is given."""
    return (
        STORAGE_NAME,
        Parameter(
            "aws_key_id", Text(256, checks.word), required=True, meaning="Identifier of the access key."
        ),
        Parameter(
            "aws_secret_key",
            SecretText(),
            required=new,
            keeps_blank=not new,
            meaning="Secret of the access key." if new else "Secret of the access key; absent: as it is.",
        ),
        Parameter(
            "file_size",
            Integer(1, _MAXIMUM_FILE_SIZE),
            required=True,
            meaning="Maximum size of an object in mebibytes.",
        ),
        Parameter(
            "bucket_name", Text(check=checks.bucket_name), required=True, meaning="Name of the bucket."
        ),
        Parameter(
            "endpoint_url",
            Text(2048, checks.endpoint_url),
            keeps_blank=True,
            extension=True,
            meaning="Address of an S3-compatible server; default: Amazon's.",
        ),
        Parameter(
            "region",
            Text(check=checks.region),
            keeps_blank=True,
            extension=True,
            meaning="Region of the bucket.",
        ),
        Parameter(
            "prefix",
            Text(check=checks.prefix),
            keeps_blank=True,
            extension=True,
            meaning="What all keys in the bucket begin with.",
        ),
    )


def _schedule(kind: BackupType) -> tuple[Parameter, ...]:
    """Which lists a period takes is checked with the period, in papi_backup.services.schedules."""
    stem = f"schedule_{kind}_"
    return (
        Parameter(f"{stem}period", Choice(PERIODS), default="deactivated", meaning="Period of the backup."),
        Parameter(
            f"{stem}frequency",
            Integer(1, MAXIMUM_FREQUENCY),
            default=1,
            meaning="Every how many periods it runs.",
        ),
        Parameter(
            f"{stem}time_list",
            IntegerList(0, 31),
            default=(),
            meaning=(
                "yearly: months (1-12); monthly: days (1-31); weekly: days of the week (0-6, 0 = Sunday);"
                " hourly: hours (0-23); else it does not matter."
            ),
        ),
        Parameter(
            f"{stem}day_run",
            IntegerList(1, 31),
            default=(),
            meaning="Days of the month; only for the period yearly.",
        ),
        Parameter(
            f"{stem}time_run",
            IntegerList(0, 23),
            default=(),
            meaning="Hours; only for the periods yearly, monthly, weekly and daily.",
        ),
    )


CONFIG_FIELDS = (
    BACKUP_NAME,
    STORAGE_ID,
    Parameter(
        "encryption_key",
        SecretText(4096, may_be_blank=True),
        keeps_blank=True,
        meaning="Encryption key; empty: no encryption; absent: as it is, for a new one none."
        " One of nothing but blanks is refused; one with fewer than 8 characters is a warning in the log and"
        " of test_backup_config.",
    ),
    *_schedule("full"),
    *_schedule("inc"),
    Parameter(
        "paths", _PATHS, keeps_blank=True, extension=True, meaning="What to back up; empty: as in agent.toml."
    ),
    Parameter("excludes", _PATTERNS, keeps_blank=True, extension=True, meaning="What to leave out."),
)

RESTORE_FIELDS = (
    STORAGE_NAME,
    BACKUP_NAME,
    Parameter(
        "restore_date",
        Date(),
        required=True,
        meaning="The newest backup that is not later is restored; a bare date: the end of that day.",
    ),
    Parameter(
        "encryption_key",
        SecretText(4096, may_be_blank=True),
        default=NO_SECRET,
        keeps_blank=True,
        meaning="Key of the backup, byte for byte; required when it is encrypted.",
    ),
    TIMEZONE,
    HOSTNAME,
    Parameter(
        "target_dir",
        Text(4096, checks.absolute_path, undecodable=True),
        default="",
        extension=True,
        meaning="Where to restore to, with the full original paths below; default: in place.",
    ),
    Parameter("include", _PATTERNS, default=(), extension=True, meaning="What to restore; default: all."),
    Parameter(
        "overwrite",
        Choice(OVERWRITE_POLICIES),
        default="changed",
        extension=True,
        meaning="Which files that exist are overwritten.",
    ),
    Parameter(
        "numeric_owner",
        Boolean(),
        default=False,
        extension=True,
        meaning="Whether owners get the numbers of the backup; else those that their names have here.",
    ),
    REQUEST_ID,
)
