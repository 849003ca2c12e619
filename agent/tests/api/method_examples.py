# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The methods of the spec, and our own, written down a second time: with arguments right and wrong.

Nothing here comes from the endpoint table, which it checks.
"""

from __future__ import annotations

from dataclasses import dataclass, field

READ = ("GET", "POST")
CHANGE = ("POST",)
LONG = "x" * 5000
HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB8Yc0XH1Fw1fqmbbJk9pQzCsSQXyKGQmFXBlSg1xn5c"


@dataclass(frozen=True)
class Example:
    """A method with arguments that work in the world of the tests.

    ``required``: without them it is 3005.  ``wrong``: values that are 3005.  ``unknown``: values that name
    nothing, 3007.
    """

    method: str
    path: str
    http_methods: tuple[str, ...]
    arguments: dict[str, object] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    wrong: dict[str, tuple[object, ...]] = field(default_factory=dict)
    unknown: dict[str, object] = field(default_factory=dict)

    @property
    def changes(self) -> bool:
        return self.http_methods == CHANGE


NAMES = ("", "   ", LONG, "x" * 201, "ä" * 34, "tab\tbed", "nul\0led", b"\xff\xfe")
IDS = ("", "one", "1.5", "0", "-1", str(1 << 64), "1,2", "true", b"\xff")
PATHS = ("relative", "/with/../dots", "/nul\0", LONG)
ZONES = ("Nowhere/Town", "../etc/passwd", "Europe", LONG, b"\xff", "Ümläut")
DATES = ("yesterday", "2026-13-01", "2026-02-30", "2026-03-01 25:00:00", "0000-00-00", "2026-03-01 12", LONG)

SSH_STORAGE: dict[str, object] = {
    "storage_name": "new",
    "server_name": "s.example",
    "ssh_port": 22,
    "ssh_username": "u",
    "ssh_id_id": 1,
    "storage_base": "/base",
}
WRONG_SSH: dict[str, tuple[object, ...]] = {
    "storage_name": NAMES,
    "server_name": ("", "a b", "a/b", "user@host", "x" * 300, "ü.example", "-dash"),
    "ssh_port": ("", "0", "65536", "ssh", "22.0", "-22", "true"),
    "ssh_username": ("", "a b", "a\nb", LONG),
    "ssh_id_id": IDS,
    "storage_base": ("", *PATHS),
    "host_key": ("ssh-rsa", "ssh-rsa ????", HOST_KEY.replace("ssh-ed25519", "ssh-rsa"), "a b c"),
    "dry_run": ("maybe", "2"),
}
S3_STORAGE: dict[str, object] = {
    "storage_name": "new",
    "aws_key_id": "AKID",
    "aws_secret_key": "very-secret",
    "file_size": 64,
    "bucket_name": "backups",
}
WRONG_S3: dict[str, tuple[object, ...]] = {
    "storage_name": NAMES,
    "aws_key_id": ("", "a b", LONG),
    "aws_secret_key": ("", "********", "******** (same)", LONG, b"\xff"),
    "file_size": ("", "0", "-1", "1.5", "many", str(1 << 40)),
    "bucket_name": ("", "ab", "x" * 64, "a/b", "bücket"),
    "endpoint_url": ("ftp://x", "s3.example", "http://", "http://u:p@x", "http://x/?q", "http://x:99999"),
    "region": ("eu west", "x" * 65),
    "prefix": ("../up", "a/./b", "x" * 401),
}
CONFIG: dict[str, object] = {
    "backup_name": "new",
    "storage_id": 2,
    "encryption_key": "k",
    "schedule_full_period": "monthly",
    "schedule_full_frequency": 1,
    "schedule_full_time_list": "1,15",
    "schedule_full_time_run": "2",
    "schedule_inc_period": "daily",
    "schedule_inc_time_run": "3",
    "paths": "/etc,/srv",
    "excludes": "*.tmp",
}
WRONG_CONFIG: dict[str, tuple[object, ...]] = {
    "backup_name": NAMES,
    "storage_id": IDS,
    "encryption_key": ("********", LONG, b"\xff", "nul\0"),
    "schedule_full_period": ("fortnightly", "Daily", "1"),
    "schedule_full_frequency": ("0", "367", "often", "-1"),
    "schedule_full_time_list": ("0", "32", "1,x", "[1,[2]]", "1;2", "1.5"),
    "schedule_inc_day_run": ("0", "32", "monday"),
    "schedule_inc_time_run": ("24", "-1", "noon"),
    "paths": ("etc", "/etc,../srv", "[1]"),
}

METHODS = (
    Example("list_storages", "storage/list", READ),
    Example(
        "add_storage_ssh",
        "storage/ssh/add",
        CHANGE,
        SSH_STORAGE,
        tuple(SSH_STORAGE),
        WRONG_SSH | {"storage_name": (*NAMES, "vault")},
        {"ssh_id_id": 99},
    ),
    Example(
        "edit_storage_ssh",
        "storage/ssh/edit",
        CHANGE,
        {"storage_id": 1} | SSH_STORAGE,
        ("storage_id", *SSH_STORAGE),
        WRONG_SSH | {"storage_id": (*IDS, "2"), "storage_name": (*NAMES, "bucket")},
        {"storage_id": 99, "ssh_id_id": 99},
    ),
    Example(
        "add_storage_s3",
        "storage/s3/add",
        CHANGE,
        S3_STORAGE,
        tuple(S3_STORAGE),
        WRONG_S3 | {"storage_name": (*NAMES, "vault")},
    ),
    Example(
        "edit_storage_s3",
        "storage/s3/edit",
        CHANGE,
        {"storage_id": 2} | S3_STORAGE,
        ("storage_id", "storage_name", "aws_key_id", "file_size", "bucket_name"),
        WRONG_S3 | {"storage_id": (*IDS, "1"), "storage_name": (*NAMES, "vault")},
        {"storage_id": 99},
    ),
    Example(
        "delete_storage",
        "storage/del",
        CHANGE,
        {"storage_id": 3},
        ("storage_id",),
        {"storage_id": (*IDS, "1")},
        {"storage_id": 99},
    ),
    Example(
        "test_storage",
        "storage/test",
        READ,
        {"storage_name": "bucket"},
        ("storage_name",),
        {"storage_name": NAMES},
        {"storage_name": "nowhere"},
    ),
    Example("list_jobs", "job/list", READ, wrong={"timezone": ZONES}),
    Example(
        "run_backup",
        "backup/run",
        CHANGE,
        {"backup_name": "system", "backup_type": "full"},
        ("backup_name", "backup_type"),
        {
            "backup_name": NAMES,
            "backup_type": ("", "incremental", "FULL", "full,inc"),
            "request_id": ("with space", "x" * 129, "ü"),
        },
        {"backup_name": "nothing"},
    ),
    Example(
        "restore_backup",
        "backup/restore",
        CHANGE,
        {"storage_name": "vault", "backup_name": "system", "restore_date": "2026-03-01"},
        ("storage_name", "backup_name", "restore_date"),
        {
            "storage_name": NAMES,
            "backup_name": NAMES,
            "restore_date": ("", *DATES),
            "timezone": ZONES,
            "hostname": ("localhost", "x" * 201, "a\nb"),
            "target_dir": PATHS,
            "overwrite": ("sometimes", "ALWAYS"),
            "numeric_owner": ("perhaps", "2"),
            "encryption_key": ("********", LONG, b"\xff"),
        },
        {"storage_name": "nowhere"},
    ),
    Example(
        "list_backups",
        "backup/list",
        READ,
        {"timezone": "Europe/Rome", "date_from": "2026-01-01", "date_to": "2026-12-31 23:59:59"},
        wrong={"timezone": ZONES, "date_from": DATES, "date_to": DATES, "hostname": ("localhost",)},
        unknown={"storage_name": "nowhere"},
    ),
    Example(
        "list_hostnames",
        "backup/list-hostname",
        READ,
        {"storage_name": "vault"},
        wrong={"storage_name": (LONG,)},
        unknown={"storage_name": "nowhere"},
    ),
    Example(
        "add_backup_config",
        "backup-config/add",
        CHANGE,
        CONFIG,
        ("backup_name", "storage_id"),
        WRONG_CONFIG | {"backup_name": (*NAMES, "system"), "schedule_inc_day_run": ("1",)},
        {"storage_id": 99},
    ),
    Example(
        "update_backup_config",
        "backup-config/edit",
        CHANGE,
        {"backup_id": 1} | CONFIG,
        ("backup_id", "backup_name", "storage_id"),
        WRONG_CONFIG | {"backup_id": IDS},
        {"backup_id": 99, "storage_id": 99},
    ),
    Example("list_backup_config", "backup-config/list", READ, wrong={"timezone": ZONES}),
    Example(
        "get_backup_config",
        "backup-config/get",
        READ,
        {"backup_name": "system"},
        ("backup_name",),
        {"backup_name": NAMES, "timezone": ZONES},
        {"backup_name": "nothing"},
    ),
    Example(
        "delete_backup_config",
        "backup-config/del",
        CHANGE,
        {"backup_id": 1},
        ("backup_id",),
        {"backup_id": IDS},
        {"backup_id": 99},
    ),
    Example(
        "test_backup_config",
        "backup-config/test",
        READ,
        {"backup_id": 1},
        ("backup_id",),
        {"backup_id": IDS},
        {"backup_id": 99},
    ),
    Example("list_ssh_ids", "ssh-id/list", READ),
    Example(
        "generate_new_ssh_id",
        "ssh-id/new",
        CHANGE,
        {"key_name": "new", "key_length": 256},
        ("key_name",),
        {"key_name": (*NAMES, "key"), "key_length": ("0", "1024", "8192", "long")},
    ),
    Example(
        "delete_ssh_id",
        "ssh-id/del",
        CHANGE,
        {"ssh_id_id": 2},
        ("ssh_id_id",),
        {"ssh_id_id": (*IDS, "1")},
        {"ssh_id_id": 99},
    ),
    Example(
        "get_pub_ssh_id",
        "ssh-id/get-pub",
        READ,
        {"ssh_id_id": 1},
        ("ssh_id_id",),
        {"ssh_id_id": IDS},
        {"ssh_id_id": 99},
    ),
)
EXTENSIONS = (
    Example(
        "cancel_job",
        "job/cancel",
        CHANGE,
        {"job_id": 1},
        ("job_id",),
        {"job_id": IDS, "timezone": ZONES},
        {"job_id": 99},
    ),
    Example("version", "version", READ),
)
"""What the spec has not; held to the same."""

EXAMPLES = (*METHODS, *EXTENSIONS)
BY_METHOD = {example.method: example for example in EXAMPLES}
