# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The requests that docs/api.md shows, in an order in which one agent can answer them."""

from __future__ import annotations

_SSH = {
    "server_name": "vault.example.com",
    "ssh_port": 22,
    "ssh_username": "backup",
    "ssh_id_id": 1,
    "storage_base": "/srv/backups",
}
_S3 = {"aws_key_id": "AKIAEXAMPLE", "file_size": 64, "bucket_name": "backups"}
_SCHEDULES = {
    "schedule_full_period": "weekly",
    "schedule_full_time_list": "0",
    "schedule_full_time_run": "2",
    "schedule_inc_period": "daily",
    "schedule_inc_time_run": "3",
}

REQUESTS: dict[str, tuple[dict[str, object], ...]] = {
    "list_storages": ({},),
    "add_storage_ssh": ({"storage_name": "offsite"} | _SSH,),
    "edit_storage_ssh": (
        {"storage_id": 3, "storage_name": "spare", "dry_run": 1} | _SSH,
        {"storage_id": 3, "storage_name": "spare"} | _SSH,
    ),
    "add_storage_s3": ({"storage_name": "cloud", "aws_secret_key": "example-secret"} | _S3,),
    "edit_storage_s3": ({"storage_id": 2, "storage_name": "bucket", "region": "eu-south-1"} | _S3,),
    "delete_storage": ({"storage_id": 3},),
    "test_storage": ({"storage_name": "vault"},),
    "list_jobs": ({"timezone": "Europe/Rome"},),
    "run_backup": (
        {"backup_name": "system", "backup_type": "inc", "request_id": "nightly-2026-03-01"},
        {"backup_name": "system", "backup_type": "inc", "dry_run": 1},
    ),
    "restore_backup": (
        {
            "storage_name": "vault",
            "backup_name": "system",
            "restore_date": "2026-03-01 13:00:00",
            "timezone": "Europe/Rome",
            "encryption_key": "example-key",
            "include": ["/etc/nginx", "/etc/ssh"],
            "target_dir": "/var/tmp/restored",
        },
        {"storage_name": "vault", "backup_name": "system", "restore_date": "2026-03-01", "dry_run": 1},
    ),
    "list_backups": ({"storage_name": "vault", "date_from": "2026-03-01", "timezone": "Europe/Rome"},),
    "list_hostnames": ({},),
    "add_backup_config": (
        {
            "backup_name": "web",
            "storage_id": 1,
            "encryption_key": "example-key",
            "paths": ["/srv/www", "/etc"],
        }
        | _SCHEDULES,
    ),
    "update_backup_config": ({"backup_id": 2, "backup_name": "web", "storage_id": 2} | _SCHEDULES,),
    "list_backup_config": ({"timezone": "Europe/Rome"},),
    "get_backup_config": ({"backup_name": "web", "timezone": "Asia/Kolkata"},),
    "delete_backup_config": ({"backup_id": 2},),
    "test_backup_config": ({"backup_id": 1},),
    "list_ssh_ids": ({},),
    "generate_new_ssh_id": ({"key_name": "fleet", "key_length": 256},),
    "delete_ssh_id": ({"ssh_id_id": 2},),
    "get_pub_ssh_id": ({"ssh_id_id": 1},),
    "cancel_job": ({"job_id": 1, "timezone": "Europe/Rome", "dry_run": 1}, {"job_id": 1}),
    "login": ({"username": "viewer", "password": "secret"},),
    "logout": ({},),
    "ping": ({},),
    "backup_ping": ({},),
    "version": ({},),
    "openapi": ({},),
}
