# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What methods answer: fields and types as the spec names them, and what they do."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from fake_backends import HOST_KEY, NOW, backup_of
from method_examples import S3_STORAGE, SSH_STORAGE
from running_api import RunningApi

from papi_backup.api.views import human_size
from papi_backup.model.errors import BY_CODE, TransferError
from papi_backup.model.job import JobResult, Progress
from papi_backup.model.schedule import BackupConfig
from papi_backup.model.secret import Secret

PROGRESS = ("files_done", "files_total", "bytes_done", "bytes_total", "rate", "remaining_seconds")
NO_JOB = {"job_status": "", "description": "", "start_date": "", "end_date": ""}
FULL_RUNS = ["2027-01-01 03:37:00", "2027-01-15 03:37:00", "2028-01-01 03:37:00"]
"""Every other of the months 1 and 7, on days 1 and 15, at 3; host.example's minute is 37."""
INC_RUNS = ["2026-03-02 02:37:00", "2026-03-03 02:37:00", "2026-03-04 02:37:00"]


def rows(data: object) -> list[dict[str, object]]:
    assert isinstance(data, list)
    return data


def test_storages_are_told_as_the_spec_names_them(unchanged_api: RunningApi) -> None:
    assert rows(unchanged_api.get("storage/list").data)[:2] == [
        {
            "storage_id": 1,
            "storage_name": "vault",
            "type": "ssh",
            "server_name": "vault.example",
            "ssh_port": 22,
            "username": "backup",
            "ssh_id": "key",
            "ssh_id_id": 1,
            "storage_base": "/srv/backup",
            "host_key": "",
        },
        {
            "storage_id": 2,
            "storage_name": "bucket",
            "type": "s3",
            "aws_key_id": "AKID",
            "aws_secret_key": "s3-secret",
            "bucket_name": "backups",
            "file_size": 32,
            "endpoint_url": "",
            "region": "",
            "prefix": "",
        },
    ]


def test_what_is_added_is_told_again(api: RunningApi) -> None:
    extensions = {"endpoint_url": "http://127.0.0.1:8333", "region": "r1", "prefix": "a/b"}
    api.call("POST", "storage/s3/add", S3_STORAGE | extensions)
    api.call("POST", "storage/ssh/add", SSH_STORAGE | {"storage_name": "my säfe", "host_key": HOST_KEY})
    s3, ssh = rows(api.get("storage/list").data)[-2:]
    assert {name: s3[name] for name in S3_STORAGE | extensions} == S3_STORAGE | extensions
    assert (ssh["storage_name"], ssh["host_key"], ssh["storage_id"]) == ("my säfe", HOST_KEY, 5)


def test_an_ssh_id_is_made_told_and_its_public_key_given(api: RunningApi) -> None:
    api.post("ssh-id/new", key_name="fleet", key_length=2048)
    assert rows(api.get("ssh-id/list").data)[-1] == {"ssh_id_id": 3, "key_name": "fleet", "key_length": 2048}
    answer = api.get("ssh-id/get-pub", ssh_id_id=3).data
    assert isinstance(answer, dict)
    kind, key, comment = answer["pub_key"].split(" ")
    assert (kind, comment, len(key) > 300) == ("ssh-rsa", "root@host.example", True)
    api.post("ssh-id/new", key_name="default")
    assert rows(api.get("ssh-id/list").data)[-1]["key_length"] == 3072


def test_a_configuration_is_told_as_the_spec_names_it(unchanged_api: RunningApi) -> None:
    assert unchanged_api.get("backup-config/get", backup_name="system").data == {
        "config": {
            "backup_id": 1,
            "backup_name": "system",
            "storage_name": "vault",
            "storage_id": 1,
            "encryption_key": "the-key",
            "paths": [],
            "excludes": [],
        },
        "full": {
            "period": "yearly",
            "frequency": 2,
            "time_list": [1, 7],
            "day_run": "1,15",
            "time_run": "3",
            "backup_type": "full",
            "template": "",
            "next_runs": FULL_RUNS,
        },
        "inc": {
            "period": "daily",
            "frequency": 1,
            "time_list": [],
            "day_run": "",
            "time_run": "2",
            "backup_type": "inc",
            "template": "",
            "next_runs": INC_RUNS,
        },
    }


def test_configurations_are_listed_with_their_last_jobs(api: RunningApi) -> None:
    (status,) = rows(api.get("backup-config/list").data)
    assert status["full"] == NO_JOB | {"next_runs": FULL_RUNS}
    assert status["inc"] == NO_JOB | {"next_runs": INC_RUNS}
    api.post("backup/run", backup_name="system", backup_type="inc")
    api.world.store.jobs.finish(1, JobResult("3 files", "inc", 1, 3, 4, 5))
    (status,) = rows(api.get("backup-config/list", timezone="Asia/Kolkata").data)
    assert status["full"] == NO_JOB | {
        "next_runs": ["2027-01-01 08:07:00", "2027-01-15 08:07:00", "2028-01-01 08:07:00"]
    }
    assert status["inc"] == {
        "job_status": "success",
        "description": "3 files",
        "start_date": "2026-03-01 17:30:00",
        "end_date": "2026-03-01 17:30:00",
        "next_runs": ["2026-03-02 07:07:00", "2026-03-03 07:07:00", "2026-03-04 07:07:00"],
    }
    assert (status["backup_name"], status["storage_name"]) == ("system", "vault")


def test_a_job_is_told_from_waiting_to_its_end(api: RunningApi) -> None:
    envelope = api.post("backup/run", backup_name="system", backup_type="full").envelope
    assert envelope == {"success": 1, "data": "success", "job_id": 1}
    waiting = {
        "job_id": 1,
        "job_type": "backup",
        "job_status": "waiting",
        "description": "",
        "backup_name": "system",
        "backup_type": "full",
        "start_date": "2026-03-01 13:00:00",
        "end_date": "",
        "size_transferred": 0,
        "size_transferred_human": "0 B",
        "error_code": 0,
        "files": 0,
        "bytes_read": 0,
        "bytes_stored": 0,
        "entries_changed": 0,
        "warnings": 0,
    }
    assert api.get("job/list").data == [waiting]
    api.world.store.jobs.start(1)
    assert api.get("job/list").data == [waiting | {"job_status": "running"}]
    api.world.queue.running[1] = Progress(3, 10, 1 << 20, 1 << 30, 1 << 19, 2046)
    told = dict(zip(PROGRESS, (3, 10, 1 << 20, 1 << 30, 1 << 19, 2046), strict=True))
    assert api.get("job/list").data == [waiting | {"job_status": "running"} | told]
    api.world.queue.running[1] = Progress()
    assert api.get("job/list").data == [waiting | {"job_status": "running"} | dict.fromkeys(PROGRESS, 0)]
    api.world.store.jobs.finish(1, JobResult("done", "full", 22439812, 10, 3000, 2000, 7, ("one", "two")))
    assert api.get("job/list").data == [
        waiting
        | {
            "job_status": "success",
            "description": "done",
            "end_date": "2026-03-01 13:00:00",
            "size_transferred": 22439812,
            "size_transferred_human": "21.4 MiB",
            "files": 10,
            "bytes_read": 3000,
            "bytes_stored": 2000,
            "entries_changed": 7,
            "warnings": 2,
        }
    ]


def test_a_failed_job_carries_its_code(api: RunningApi) -> None:
    api.post("backup/run", backup_name="system", backup_type="full")
    api.world.store.jobs.fail(1, 4002, "[4002] the key does not open it")
    (job,) = rows(api.get("job/list").data)
    assert (job["job_status"], job["error_code"], job["size_transferred"]) == ("failed", 4002, 0)
    assert str(job["description"]).startswith("[4002] ")


@pytest.mark.parametrize(("step", "status"), [("wait", "failed"), ("finish", "success"), ("fail", "failed")])
def test_a_cancelled_job_says_by_whom_and_one_that_has_ended_stays(
    api: RunningApi, step: str, status: str
) -> None:
    jobs = api.world.store.jobs
    api.world.add_job()
    if step == "finish":
        jobs.finish(1, JobResult("done", "full", 1, 2, 3, 4))
    if step == "fail":
        jobs.fail(1, 4001, "[4001] gone")
    before = jobs.get(1)
    cookie = api.login("admin")
    reply = api.call("POST", "job/cancel", {"job_id": 1}, via="port", cookie=cookie)
    assert reply.envelope == {"success": 1, "data": "success", "job_status": status}
    (job,) = rows(api.get("job/list").data)
    if step == "wait":
        assert (job["job_status"], job["error_code"]) == ("failed", 3015)
        assert job["description"] == "[3015] cancelled by admin"
        assert job["end_date"]
    else:
        assert jobs.get(1) == before


def test_a_planned_cancel_tells_the_job_before_and_after(api: RunningApi) -> None:
    api.world.add_job()
    plan = api.post("job/cancel", job_id=1, dry_run=1, timezone="Asia/Tokyo").data
    assert isinstance(plan, dict)
    assert plan["changed"] is True
    assert (plan["before"]["job_status"], plan["before"]["end_date"]) == ("waiting", "")
    assert (plan["after"]["job_status"], plan["after"]["end_date"]) == ("failed", "2026-03-01 21:00:00")


def test_a_repeated_request_is_one_job(api: RunningApi) -> None:
    run = {"backup_name": "system", "backup_type": "full", "request_id": "r-1"}
    restore = {"storage_name": "vault", "backup_name": "system", "restore_date": "2026-03-01"}
    for _unused in range(2):
        assert api.call("POST", "backup/run", run).envelope["job_id"] == 1
        assert api.call("POST", "backup/restore", restore | {"request_id": "r-2"}).envelope["job_id"] == 2
    assert api.call("POST", "backup/restore", restore | {"request_id": "r-1"}).error[0] == 3005
    assert len(rows(api.get("job/list").data)) == 2


@pytest.mark.parametrize("path", ["backup/run", "backup/restore"])
def test_a_request_that_is_sent_many_times_at_once_is_one_job(api: RunningApi, path: str) -> None:
    run = {"backup_name": "system", "backup_type": "full"}
    restore = {"storage_name": "vault", "backup_name": "system", "restore_date": "2026-03-01"}
    arguments = (run if path == "backup/run" else restore) | {"request_id": "r-1"}
    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(api.call, "POST", path, arguments) for call in range(24)]
    assert {call.result().envelope["job_id"] for call in calls} == {1}
    assert len(rows(api.get("job/list").data)) == 1


@pytest.mark.parametrize("step", ["waits", "ran", "cancelled"])
def test_a_request_names_its_job_whatever_became_of_it(api: RunningApi, step: str) -> None:
    run = {"backup_name": "system", "backup_type": "full", "request_id": "r-1"}
    assert api.call("POST", "backup/run", run).envelope["job_id"] == 1
    if step == "ran":
        api.world.store.jobs.finish(1, JobResult("done", "full", 1, 2, 3, 4))
    if step == "cancelled":
        api.post("job/cancel", job_id=1)
    plan = api.call("POST", "backup/run", run | {"dry_run": 1}).data
    assert isinstance(plan, dict)
    assert plan["changed"] is False
    assert plan["after"]["job_id"] == 1
    assert api.call("POST", "backup/run", run).envelope["job_id"] == 1
    assert len(rows(api.get("job/list").data)) == 1


def test_a_restore_is_queued_with_everything_that_was_asked(api: RunningApi) -> None:
    fields = {
        "storage_name": "vault",
        "backup_name": "no such backup",
        "restore_date": "2026-10-25 02:30:00+01:00",
        "timezone": "Europe/Rome",
        "hostname": "OTHER.example",
        "encryption_key": "wrong, perhaps",
        "target_dir": "/restored",
        "include": ["/etc", "/srv/a,b"],
        "overwrite": "fail",
    }
    reply = api.send("POST", "/papi/backup/backup/restore", json.dumps(fields).encode())
    assert reply.envelope == {"success": 1, "data": "success", "job_id": 1}
    (options,) = api.world.queue.restores
    assert options.restore_date == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    assert (options.hostname, options.include) == ("other.example", ("/etc", "/srv/a,b"))
    assert (options.encryption_key.reveal(), options.overwrite) == ("wrong, perhaps", "fail")


def test_backups_are_listed_by_storage_and_name_with_dates_that_name_them(api: RunningApi) -> None:
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    entries = [backup_of(first + timedelta(hours=hour), "my backup", number=hour + 1) for hour in range(3)]
    api.world.queries.backups = {"vault": entries}
    data = api.get("backup/list", timezone="Europe/Rome").data
    assert isinstance(data, dict)
    assert list(data) == ["vault", "bucket", "spare"]
    told = data["vault"]["my backup"]
    assert data["bucket"] == {}
    assert [entry["date"] for entry in told] == [
        "2026-10-25 02:30:00",
        "2026-10-25 02:30:00+01:00",
        "2026-10-25 03:30:00",
    ]
    for entry, source in zip(told, entries, strict=True):
        assert entry["path"] == source.path
        assert (entry["full"], entry["encrypted"], entry["hostname"]) == (True, True, "host.example")
        found = api.get(
            "backup/list", storage_name="vault", date_from=entry["date"], date_to=entry["date"]
        ).data
        assert found == {"vault": {"my backup": [entry]}}
        restore = {"storage_name": "vault", "backup_name": "my backup", "restore_date": entry["date"]}
        api.call("POST", "backup/restore", restore)
        assert api.world.queue.restores[-1].restore_date == source.date


def test_what_is_odd_about_a_backup_is_said(api: RunningApi) -> None:
    future = backup_of(NOW + timedelta(hours=25))
    api.world.queries.backups = {"vault": [backup_of(NOW + timedelta(hours=23)), future]}
    data = api.get("backup/list", storage_name="vault").data
    assert isinstance(data, dict)
    near, far = data["vault"]["system"]
    assert (near["warning"], near["readable"]) == ("", True)
    assert "ahead" in far["warning"]


def test_host_names_are_listed_by_storage(api: RunningApi) -> None:
    api.world.queries.backups = {"vault": [backup_of(NOW, host="b"), backup_of(NOW, host="a")]}
    assert api.get("backup/list-hostname").data == {"vault": ["a", "b"], "bucket": [], "spare": []}


@pytest.mark.parametrize("code", [4000, 4001, 4002, 4003, 4004, 4005, 3014, 3015])
def test_errors_of_storages_keep_their_code_and_name_the_storage(api: RunningApi, code: int) -> None:
    api.world.queries.failures["bucket"] = BY_CODE[code]("it said no")
    for path in ("backup/list", "backup/list-hostname"):
        assert api.get(path).error == (code, "Storage 'bucket': it said no")
    assert api.get("storage/test", storage_name="bucket").error == (code, "it said no")


@pytest.mark.parametrize(
    ("path", "fields"),
    [("storage/test", {"storage_name": "vault"}), ("backup-config/test", {"backup_id": 1})],
)
def test_a_test_tells_its_steps_and_what_it_saw(
    unchanged_api: RunningApi, path: str, fields: dict[str, object]
) -> None:
    assert unchanged_api.call("GET", path, fields).envelope == {
        "success": 1,
        "data": "success",
        "steps": [
            {"step": "reach", "milliseconds": 12, "detail": ""},
            {"step": "clock", "milliseconds": 1, "detail": "the clocks agree"},
        ],
    }


def test_a_test_pins_the_servers_key_unless_a_viewer_asks(api: RunningApi) -> None:
    viewer = api.login("viewer")
    fields = {"storage_name": "vault"}
    assert api.call("GET", "storage/test", fields, via="port", cookie=viewer).data == "success"
    assert rows(api.get("storage/list").data)[0]["host_key"] == ""
    assert api.get("backup-config/test", backup_id=1).data == "success"
    assert rows(api.get("storage/list").data)[0]["host_key"] == HOST_KEY


def test_deleting_what_is_in_use_says_by_what(unchanged_api: RunningApi) -> None:
    code, text = unchanged_api.post("storage/del", storage_id=1).error
    assert (code, "'system'" in text) == (3005, True)
    code, text = unchanged_api.post("ssh-id/del", ssh_id_id=1).error
    assert (code, "'vault'" in text and "'spare'" in text) == (3005, True)


def test_names_and_paths_beyond_ascii_come_through(api: RunningApi) -> None:
    config = {"backup_name": "Sicherung für 'x' & <y>", "storage_id": 1}
    # A path of bytes that are no UTF-8, percent-encoded as it is on disk.
    body = b"backup_name=bytes&storage_id=1&paths=/srv/%FF%C3%A4"
    api.call("POST", "backup-config/add", config)
    api.send("POST", "/papi/backup/backup-config/add", body)
    names = [row["backup_name"] for row in rows(api.get("backup-config/list").data)]
    assert names == ["system", config["backup_name"], "bytes"]
    assert api.world.store.configs.by_name("bytes").paths == ("/srv/\udcffä",)
    assert rows(api.get("backup-config/list").data)[2]["paths"] == ["/srv/\udcffä"]
    path = api.get("backup-config/list.xml").xml.findtext("data/element[3]/paths/element")
    assert path == "/srv/_xDCFF_ä"


def test_an_edit_keeps_absent_secrets_and_extensions(api: RunningApi) -> None:
    fields = {"backup_id": 1, "backup_name": "system", "storage_id": 1}
    api.call("POST", "backup-config/edit", fields | {"paths": "/etc", "excludes": "*.tmp"})
    api.call("POST", "backup-config/edit", fields | {"storage_id": 2})
    assert api.world.store.configs.get(1) == BackupConfig(
        "system", 2, Secret("the-key"), paths=("/etc",), excludes=("*.tmp",), backup_id=1
    )
    api.call("POST", "backup-config/edit", fields | {"encryption_key": "", "paths": "", "excludes": ""})
    assert api.world.store.configs.get(1) == BackupConfig("system", 1, backup_id=1)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (22439812, "21.4 MiB"),
        ((1 << 30) - 1, "1.0 GiB"),
        (1 << 40, "1.0 TiB"),
        (1 << 62, "4.0 EiB"),
    ],
)
def test_sizes_for_people(size: int, text: str) -> None:
    assert human_size(size) == text


def test_a_storage_that_fails_does_not_keep_its_jobs_from_being_queued(api: RunningApi) -> None:
    api.world.queries.failures["vault"] = TransferError("gone")
    assert api.post("backup/run", backup_name="system", backup_type="inc").data == "success"
