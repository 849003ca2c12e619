# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each method answers (docs/api.md)."""

from __future__ import annotations

from papi_backup.api.shapes import (
    DATE_PATTERN,
    AnyShape,
    ConstantShape,
    EitherShape,
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
from papi_backup.model.schedule import PERIODS

TEXT = TextShape()
NUMBER = NumberShape()
IDENTIFIER = NumberShape(1)
TRUTH = TruthShape()
TEXTS = ListShape(TEXT)
DATE = TextShape(pattern=DATE_PATTERN)
BACKUP_TYPE = TextShape(("full", "inc"))
NUMBERS_IN_A_TEXT = TextShape(pattern=r"^([0-9]{1,2}(,[0-9]{1,2})*)?$")
NOTHING = RecordShape((), "Nothing: the thing is new, or goes.")
SUCCESS = ConstantShape("success")

JOB_ID = Field("job_id", IDENTIFIER, "The job that was queued; the same one for the same `request_id`.", True)
STEPS = Field(
    "steps",
    ListShape(
        record(
            "A step that passed.",
            Field("step", TEXT, "What was tried."),
            Field("milliseconds", NUMBER, "How long it took."),
            Field("detail", TEXT, "What was seen, such as a clock that differs or the room that is left."),
        )
    ),
    "What was tried, in this order.",
    True,
)
JOB_STATUS_NOW = Field(
    "job_status",
    TextShape(("running", "success", "failed")),
    "`failed`: the job was cancelled before it started, or had failed; `running`: it is being ended;"
    " `success`: it had ended already.",
    True,
)

SSH_STORAGE = record(
    "A storage on an SSH server.",
    Field("storage_id", IDENTIFIER, "Unique identifier of the storage."),
    Field("storage_name", TEXT, "Name of the storage."),
    Field("type", ConstantShape("ssh"), "Type of the storage."),
    Field("server_name", TEXT, "Name or address of the SSH server."),
    Field("ssh_port", IDENTIFIER, "Port of the SSH server."),
    Field("username", TEXT, "User name on the SSH server."),
    Field("ssh_id", TEXT, "Name of the SSH id."),
    Field("ssh_id_id", IDENTIFIER, "Unique identifier of the SSH id."),
    Field("storage_base", TEXT, "Full path of the directory that holds the backups."),
    Field("host_key", TEXT, "The server's key, once it is known.", extension=True),
)
S3_STORAGE = record(
    "A storage in an S3 bucket.",
    Field("storage_id", IDENTIFIER, "Unique identifier of the storage."),
    Field("storage_name", TEXT, "Name of the storage."),
    Field("type", ConstantShape("s3"), "Type of the storage."),
    Field("aws_key_id", TEXT, "Identifier of the access key."),
    Field("aws_secret_key", TEXT, "Secret of the access key; masked for viewers."),
    Field("bucket_name", TEXT, "Name of the bucket."),
    Field("file_size", NUMBER, "Maximum size of an object in mebibytes."),
    Field("endpoint_url", TEXT, "Address of an S3-compatible server, empty for Amazon's.", extension=True),
    Field("region", TEXT, "Region of the bucket.", extension=True),
    Field("prefix", TEXT, "What all keys in the bucket begin with.", extension=True),
)
STORAGES = ListShape(EitherShape((SSH_STORAGE, S3_STORAGE)))

SSH_ID = record(
    "An SSH id.",
    Field("ssh_id_id", IDENTIFIER, "Unique identifier of the SSH id."),
    Field("key_name", TEXT, "Name of the SSH id."),
    Field("key_length", IDENTIFIER, "Length of the key in bits; 256 is an Ed25519 key."),
)
SSH_IDS = ListShape(SSH_ID)
PUBLIC_KEY = record(
    "The public part of an SSH id.",
    Field("pub_key", TextShape(pattern=r"^ssh-[a-z0-9-]+ [^ ]+ [^ ]+$"), "As authorized_keys takes it."),
)

_PROGRESS = tuple(
    Field(name, NUMBER, meaning, extension=True, optional=True)
    for name, meaning in (
        ("files_done", "Files read or written so far; only while the job runs."),
        (
            "files_total",
            "Files in all, of a backup as many as the last one had, 0: not known; only while the job runs.",
        ),
        ("bytes_done", "Bytes read or written so far; only while the job runs."),
        (
            "bytes_total",
            "Bytes in all, of a backup as many as the last one read, 0: not known; only while the job runs.",
        ),
        ("rate", "Bytes a second, lately; only while the job runs."),
        (
            "remaining_seconds",
            "Seconds until the end at this rate, 0: not known; only while the job runs.",
        ),
    )
)
JOB = record(
    "A job.",
    Field("job_id", IDENTIFIER, "Unique identifier of the job."),
    Field("job_type", TextShape(("backup", "restore")), "Type of the job."),
    Field("job_status", TextShape(("waiting", "running", "success", "failed")), "Status of the job."),
    Field("description", TEXT, "What became of the job; empty until it ends."),
    Field("backup_name", TEXT, "Name of the backup."),
    Field("backup_type", BACKUP_TYPE, "Type of the backup."),
    Field("start_date", DATE, "When the job was added."),
    Field("end_date", DATE, "When the job ended; empty until then."),
    Field("size_transferred", NUMBER, "Bytes transferred; 0 until the job ends."),
    Field("size_transferred_human", TEXT, "The same for people."),
    Field("error_code", NUMBER, "Code of a failed job, else 0.", extension=True),
    Field("files", NUMBER, "Files in the backup.", extension=True),
    Field("bytes_read", NUMBER, "Bytes read from files.", extension=True),
    Field("bytes_stored", NUMBER, "Bytes the backup takes on its storage.", extension=True),
    Field(
        "entries_changed",
        NUMBER,
        "Of a restore, what it made, replaced or gave other metadata; of a backup 0.",
        extension=True,
    ),
    Field("warnings", NUMBER, "How many warnings there were.", extension=True),
    *_PROGRESS,
)
JOBS = ListShape(JOB)
RESTORE_PLAN = record(
    "What a restore would do.",
    Field("catalog_path", TEXT, "The backup's object on the storage."),
    Field("date", DATE, "Date of the backup."),
    Field("backup_type", BACKUP_TYPE, "Type of the backup."),
    Field("instance", TEXT, "The installation that made the backup."),
    Field("sequence", NUMBER, "The backup's number in its chain."),
    Field("files", NUMBER, "Files that would be restored."),
    Field("bytes", NUMBER, "Their size."),
    Field("creates", NUMBER, "Files that are not there yet."),
    Field("overwrites", NUMBER, "Files that would be overwritten."),
    Field("repairs", NUMBER, "What would get other metadata and nothing else, directories among it."),
    Field("keeps", NUMBER, "Files that would stay as they are."),
    Field("overwritten", TEXTS, "Some of the files that would be overwritten."),
    Field("warnings", TEXTS, "What to know before."),
)

BACKUP = record(
    "A backup on a storage.",
    Field("date", DATE, "Date of the backup; given as `restore_date` it names this very backup."),
    Field("path", TEXT, "Extended name of the backup."),
    Field("full", TRUTH, "Whether it is a full backup."),
    Field("encrypted", TRUTH, "Whether it is encrypted."),
    Field("hostname", TEXT, "The host that was backed up."),
    Field("backup_type", BACKUP_TYPE, "Type of the backup.", extension=True),
    Field("chain", TEXT, "The chain it belongs to.", extension=True),
    Field("backup", TEXT, "Its own identifier.", extension=True),
    Field("instance", TEXT, "The installation that made it.", extension=True),
    Field("readable", TRUTH, "Whether this agent knows its format.", extension=True),
    Field("warning", TEXT, "What is odd about it, mostly nothing.", extension=True),
)
BACKUPS = MapShape("storage", MapShape("backup", ListShape(BACKUP)))
HOST_NAMES = MapShape("storage", TEXTS)

SCHEDULE = record(
    "When one type of backup runs.",
    Field("period", TextShape(PERIODS), "Period of the backup."),
    Field("frequency", IDENTIFIER, "Every how many periods it runs."),
    Field("time_list", ListShape(NUMBER), "Months, days, days of the week or hours, after the period."),
    Field("day_run", NUMBERS_IN_A_TEXT, "Days of the month, comma separated; for the period yearly."),
    Field("time_run", NUMBERS_IN_A_TEXT, "Hours, comma separated."),
    Field("backup_type", BACKUP_TYPE, "Deprecated by the spec."),
    Field("template", TEXT, "Deprecated by the spec."),
)
LAST_BACKUP = record(
    "The last job of one type of backup; all of it empty when there was none.",
    Field("job_status", TextShape(("", "waiting", "running", "success", "failed")), "Status of the job."),
    Field("description", TEXT, "What became of the job; empty until it ends."),
    Field("start_date", DATE, "When the job was added."),
    Field("end_date", DATE, "When the job ended; empty until then."),
)
GENERAL_CONFIG = record(
    "The general part of a backup configuration.",
    Field("backup_id", IDENTIFIER, "Unique identifier of the backup configuration."),
    Field("backup_name", TEXT, "Name of the backup configuration."),
    Field("storage_name", TEXT, "Name of the storage."),
    Field("storage_id", IDENTIFIER, "Unique identifier of the storage.", extension=True),
    Field("encryption_key", TEXT, "Encryption key, empty without encryption; masked for viewers."),
    Field("paths", TEXTS, "What is backed up; empty: what agent.toml says.", extension=True),
    Field("excludes", TEXTS, "Patterns of what is left out.", extension=True),
)
NEXT_RUNS = Field(
    "next_runs",
    ListShape(DATE),
    "When the next ones run, three at most; a full takes the place of an incremental.",
    extension=True,
)
LAST_AND_NEXT = record(LAST_BACKUP.meaning, LAST_BACKUP.fields, NEXT_RUNS)
CONFIG_STATUSES = ListShape(
    record(
        "A backup configuration with its last jobs and its next runs.",
        GENERAL_CONFIG.fields,
        Field("full", LAST_AND_NEXT, "The last full backup, and the next ones."),
        Field("inc", LAST_AND_NEXT, "The last incremental backup, and the next ones."),
    )
)
_SCHEDULES = (
    Field("full", SCHEDULE, "When full backups run."),
    Field("inc", SCHEDULE, "When incremental backups run."),
)
SCHEDULE_AND_NEXT = record(SCHEDULE.meaning, SCHEDULE.fields, NEXT_RUNS)
CONFIG_DESCRIPTION = record(
    "A backup configuration.",
    Field("config", GENERAL_CONFIG, "The general part."),
    Field("full", SCHEDULE_AND_NEXT, "When full backups run."),
    Field("inc", SCHEDULE_AND_NEXT, "When incremental backups run."),
)
FLAT_CONFIG = record("A backup configuration with its schedules.", GENERAL_CONFIG.fields, _SCHEDULES)

VERSIONS = record(
    "The versions of the agent, its API and its format.",
    Field("agent", TEXT, "Version of the agent."),
    Field("api", TEXT, "Version of the API."),
    Field("format", IDENTIFIER, "Version of the storage format."),
    Field("host_name", TEXT, "The host's name, as its backups have it."),
    Field("instance_id", TextShape(pattern="^[0-9a-f]{16}$"), "Identifies this installation."),
    Field(
        "state_lost",
        TRUTH,
        "Whether the agent found its key and no state, and has had no backup configuration since.",
    ),
)


OPENAPI = MapShape("part of the document", AnyShape())


def change_of(thing: RecordShape) -> Shape:
    """Return what a dry run answers."""
    return change_of_either(thing)


def change_of_either(*things: RecordShape) -> Shape:
    """Return what a dry run answers.  A thing that is only planned has no identifier of its own yet."""
    planned = tuple(thing.optionally(thing.fields[0].name) for thing in things)
    shown = EitherShape((*planned, NOTHING))
    return record(
        "What would change.  Secrets are masked, and flagged as same or different.",
        Field("changed", TRUTH, "Whether anything would change."),
        Field("before", shown, "The thing as it is."),
        Field("after", shown, "The thing as it would be."),
    )
