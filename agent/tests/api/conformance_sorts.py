# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parameters of the spec by sort, written down a second time: what each sort must refuse.

Nothing here comes from the endpoint table, which it checks.
"""

from __future__ import annotations

from dataclasses import dataclass

from method_examples import HOST_KEY

LONG = "x" * 20_000


@dataclass(frozen=True)
class Sort:
    """``sample`` and ``other`` are right, and different.  What cannot be told by a form goes as JSON.

    ``bytes_allowed``: text that is not UTF-8 is taken.  ``many``: a list.  ``blank_refused``: an optional
    parameter that must not be empty.  ``blanks_refused``: a secret that may be empty, but not blanks.
    """

    sample: object
    other: object
    wrong_type: tuple[object, ...]
    out_of_bounds: tuple[object, ...]
    too_long: object = LONG
    bytes_allowed: bool = False
    many: bool = False
    blank_refused: bool = False
    blanks_refused: bool = False


_NO_TEXT: tuple[object, ...] = (["a"], {"a": "b"}, True, 1.5)
_NO_NUMBER: tuple[object, ...] = ("one", "\x1f1", "1.5", "1,2", True, [1, 2], {})

NAME = Sort("a", "b", _NO_TEXT, ("x" * 201, "ä" * 34, "tab\tbed", "nul\0led"))
LISTED = Sort("vault", "bucket", _NO_TEXT, NAME.out_of_bounds)
HOST = Sort("a.example", "b.example", _NO_TEXT, ("localhost", "x" * 201, "a\nb"))
SERVER = Sort("a.example", "b.example", _NO_TEXT, ("a b", "a/b", "x" * 300, "-dash"))
WORD = Sort("a", "b", _NO_TEXT, ("a b", "a\nb", "x" * 257))
PATH = Sort("/a", "/b", _NO_TEXT, ("relative", "/with/../dots", "/nul\0"), f"/{LONG}")
TARGET = Sort("/a", "/b", _NO_TEXT, ("relative", "/with/../dots"), f"/{LONG}", bytes_allowed=True)
SECRET = Sort("a", "b", (["a"], {"a": "b"}, True, 1.5), ("********", "******** (same)", "nul\0"))
KEPT_SECRET = Sort("a", "b", SECRET.wrong_type, SECRET.out_of_bounds, blank_refused=True)
BACKUP_KEY = Sort("a", "b", SECRET.wrong_type, SECRET.out_of_bounds, blanks_refused=True)
KEY = Sort(HOST_KEY, "ssh-ed25519 AAAA", _NO_TEXT, ("ssh-rsa", "ssh-rsa ????"))
BUCKET = Sort("aaa", "bbb", _NO_TEXT, ("ab", "x" * 64, "a/b"))
URL = Sort("http://a", "https://b", _NO_TEXT, ("ftp://x", "s3.example", "http://", "http://x/?q"))
REGION = Sort("a", "b", _NO_TEXT, ("eu west", "x" * 65))
PREFIX = Sort("a", "b", _NO_TEXT, ("../up", "a/./b", "x" * 401))
REQUEST_ID = Sort("a", "b", _NO_TEXT, ("with space", "x" * 129))
ID = Sort("1", "2", _NO_NUMBER, ("0", "-1", str(1 << 63)), "1" * 20_000)
PORT = Sort("22", "23", _NO_NUMBER, ("0", "65536", "-22"), "2" * 20_000)
SIZE = Sort("32", "64", _NO_NUMBER, ("0", "-1", str(1 << 40)), "3" * 20_000)
FREQUENCY = Sort("1", "2", _NO_NUMBER, ("0", "367"), "1" * 20_000)
LENGTH = Sort("256", "2048", _NO_NUMBER, ("0", "1024", "2049", "8192"), "2" * 20_000)
TRUTH = Sort("1", "0", ("maybe", ["1"], {}), ("2", "-1"))
DATE = Sort(
    "2026-03-01",
    "2026-03-02",
    ("yesterday", "1772323200", 5, True, ["2026-03-01"], {}),
    ("2026-13-01", "2026-02-30", "2026-03-01 25:00:00", "0000-01-01"),
)
ZONE = Sort("UTC", "Europe/Rome", (5, True, ["UTC"], {}), ("Nowhere/Town", "../etc/passwd", "Europe"))
TYPE = Sort("full", "inc", (5, True, ["full"], {}), ("incremental", "FULL", "full,inc"))
POLICY = Sort("never", "fail", (5, True, ["fail"], {}), ("sometimes", "ALWAYS"))
PERIOD = Sort("daily", "weekly", (5, True, ["daily"], {}), ("fortnightly", "Daily"))
_NO_NUMBERS: tuple[object, ...] = ("noon", "1;2", "1.5", [[1]], {"a": 1}, True)
MONTHS = Sort("1", "2", _NO_NUMBERS, ("0", "13", "1,32", "-1"), ",".join(["1"] * 10_001), many=True)
DAYS = Sort("1", "2", _NO_NUMBERS, ("0", "32", "-1"), ",".join(["1"] * 10_001), many=True)
HOURS = Sort("1", "2", _NO_NUMBERS, ("24", "-1"), ",".join(["1"] * 10_001), many=True)
PATHS = Sort(
    "/a", "/b", ([[1]], [1.5], {"a": 1}), ("a", "/a,../b"), f"/{LONG}", bytes_allowed=True, many=True
)
PATTERNS = Sort("*.a", "*.b", ([[1]], [1.5], {"a": 1}), ("a\0b",), LONG, bytes_allowed=True, many=True)

_SSH = {
    "storage_name": NAME,
    "server_name": SERVER,
    "ssh_port": PORT,
    "ssh_username": WORD,
    "ssh_id_id": ID,
    "storage_base": PATH,
    "host_key": KEY,
}
_S3 = {
    "storage_name": NAME,
    "aws_key_id": WORD,
    "aws_secret_key": SECRET,
    "file_size": SIZE,
    "bucket_name": BUCKET,
    "endpoint_url": URL,
    "region": REGION,
    "prefix": PREFIX,
}
_SCHEDULE = {
    "period": PERIOD,
    "frequency": FREQUENCY,
    "time_list": MONTHS,
    "day_run": DAYS,
    "time_run": HOURS,
}
_CONFIG = {
    "backup_name": NAME,
    "storage_id": ID,
    "encryption_key": BACKUP_KEY,
    **{f"schedule_full_{name}": sort for name, sort in _SCHEDULE.items()},
    **{f"schedule_inc_{name}": sort for name, sort in _SCHEDULE.items()},
    "paths": PATHS,
    "excludes": PATTERNS,
}
_DRY = {"dry_run": TRUTH}

PARAMETERS: dict[str, dict[str, Sort]] = {
    "list_storages": {},
    "add_storage_ssh": _SSH | _DRY,
    "edit_storage_ssh": {"storage_id": ID} | _SSH | _DRY,
    "add_storage_s3": _S3 | _DRY,
    "edit_storage_s3": {"storage_id": ID} | _S3 | {"aws_secret_key": KEPT_SECRET} | _DRY,
    "delete_storage": {"storage_id": ID} | _DRY,
    "test_storage": {"storage_name": NAME},
    "list_jobs": {"timezone": ZONE},
    "run_backup": {"backup_name": NAME, "backup_type": TYPE, "request_id": REQUEST_ID, "timezone": ZONE}
    | _DRY,
    "restore_backup": {
        "storage_name": NAME,
        "backup_name": NAME,
        "restore_date": DATE,
        "encryption_key": SECRET,
        "timezone": ZONE,
        "hostname": HOST,
        "target_dir": TARGET,
        "include": PATTERNS,
        "overwrite": POLICY,
        "numeric_owner": TRUTH,
        "request_id": REQUEST_ID,
    }
    | _DRY,
    "list_backups": {
        "storage_name": LISTED,
        "hostname": HOST,
        "timezone": ZONE,
        "date_from": DATE,
        "date_to": DATE,
    },
    "list_hostnames": {"storage_name": NAME},
    "add_backup_config": _CONFIG | _DRY,
    "update_backup_config": {"backup_id": ID} | _CONFIG | _DRY,
    "list_backup_config": {"timezone": ZONE},
    "get_backup_config": {"backup_name": NAME, "timezone": ZONE},
    "delete_backup_config": {"backup_id": ID} | _DRY,
    "test_backup_config": {"backup_id": ID},
    "list_ssh_ids": {},
    "generate_new_ssh_id": {"key_name": NAME, "key_length": LENGTH} | _DRY,
    "delete_ssh_id": {"ssh_id_id": ID} | _DRY,
    "get_pub_ssh_id": {"ssh_id_id": ID},
    "cancel_job": {"job_id": ID, "timezone": ZONE} | _DRY,
    "version": {},
}
