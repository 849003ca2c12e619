# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Administrators who edit one object at once: the later write wins whole, and nobody reads a mixture."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from running_api import RunningApi

ROUNDS = 25


def storage_of(number: int) -> dict[str, object]:
    word = f"w{number}"
    return {
        "storage_name": "bucket",
        "aws_key_id": word,
        "aws_secret_key": word,
        "bucket_name": f"bucket-{word}",
        "file_size": 100 + number,
        "endpoint_url": f"https://{word}.example",
        "region": word,
        "prefix": word,
    }


def config_of(number: int) -> dict[str, object]:
    return {
        "backup_name": "system",
        "storage_id": 1 + number % 2,
        "encryption_key": f"key-{number}",
        "schedule_full_period": "monthly",
        "schedule_full_frequency": number + 1,
        "schedule_full_time_list": f"{number + 1}",
        "schedule_full_time_run": f"{number}",
        "schedule_inc_period": "daily",
        "schedule_inc_time_run": f"{number + 8}",
        "paths": f"/p{number}",
        "excludes": f"*.{number}",
    }


def storage_seen(api: RunningApi) -> dict[str, Any]:
    data = api.get("storage/list").data
    assert isinstance(data, list)
    return {name: value for name, value in data[1].items() if name in storage_of(0)}


def config_seen(api: RunningApi) -> dict[str, Any]:
    data = api.get("backup-config/get", backup_name="system").data
    assert isinstance(data, dict)
    return {
        "backup_name": "system",
        "storage_id": data["config"]["storage_id"],
        "encryption_key": data["config"]["encryption_key"],
        "schedule_full_period": data["full"]["period"],
        "schedule_full_frequency": data["full"]["frequency"],
        "schedule_full_time_list": ",".join(map(str, data["full"]["time_list"])),
        "schedule_full_time_run": data["full"]["time_run"],
        "schedule_inc_period": data["inc"]["period"],
        "schedule_inc_time_run": data["inc"]["time_run"],
        "paths": ",".join(data["config"]["paths"]),
        "excludes": ",".join(data["config"]["excludes"]),
    }


def ssh_storage_of(number: int) -> dict[str, object]:
    word = f"w{number}"
    return {
        "storage_name": "vault",
        "server_name": f"{word}.example",
        "ssh_port": 2200 + number,
        "ssh_username": word,
        "ssh_id_id": 1 + number % 2,
        "storage_base": f"/{word}",
    }


def ssh_storage_seen(api: RunningApi) -> dict[str, Any]:
    data = api.get("storage/list").data
    assert isinstance(data, list)
    told = data[0] | {"ssh_username": data[0]["username"]}
    return {name: told[name] for name in ssh_storage_of(0)}


OBJECTS = [
    pytest.param("storage/ssh/edit", {"storage_id": 1}, ssh_storage_of, ssh_storage_seen, id="SSH storage"),
    pytest.param("storage/s3/edit", {"storage_id": 2}, storage_of, storage_seen, id="S3 storage"),
    pytest.param("backup-config/edit", {"backup_id": 1}, config_of, config_seen, id="configuration"),
]


@pytest.mark.parametrize(("path", "which", "version", "seen"), OBJECTS)
def test_whoever_writes_last_wins_whole_and_nobody_ever_reads_a_mixture(
    api: RunningApi,
    path: str,
    which: dict[str, object],
    version: Callable[[int], dict[str, object]],
    seen: Callable[[RunningApi], dict[str, Any]],
) -> None:
    whole = [version(number) for number in range(3)]
    api.post(path, **which, **whole[0])
    read: list[dict[str, Any]] = []
    answers: list[object] = []

    def write(number: int) -> None:
        answers.extend(api.post(path, **which, **whole[number]).data for unused in range(ROUNDS))

    def look() -> None:
        read.extend(seen(api) for unused in range(ROUNDS))

    threads = [*(threading.Thread(target=write, args=(n,)) for n in range(3)), threading.Thread(target=look)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert answers == ["success"] * 3 * ROUNDS
    assert len(read) == ROUNDS
    for found in [*read, seen(api)]:
        assert found in whole, json.dumps(found)
    # And without any rush: the later one is what stays.
    for number in (1, 2, 0):
        api.post(path, **which, **whole[number])
        assert seen(api) == whole[number]


def test_a_secret_that_an_edit_leaves_out_is_kept_as_the_other_administrator_just_set_it(
    api: RunningApi,
) -> None:
    """Who leaves it out must never write an older one back."""
    without = {name: value for name, value in storage_of(1).items() if name != "aws_secret_key"}
    stop = threading.Event()

    def keep() -> None:
        while not stop.is_set():
            api.post("storage/s3/edit", storage_id=2, **without)

    other = threading.Thread(target=keep)
    other.start()
    try:
        for number in range(2, 2 + ROUNDS):
            api.post("storage/s3/edit", storage_id=2, **storage_of(number))
            assert storage_seen(api)["aws_secret_key"] == f"w{number}"
    finally:
        stop.set()
        other.join(60)
