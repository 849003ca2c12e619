# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The policies of the guide on S3 rights, on a server that enforces them: enough, and nothing too much."""

from __future__ import annotations

import copy
import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from realparts.s3server import S3Server

from papi_backup.engine.storage.check import check_storage
from papi_backup.engine.storage.connecting import Connectable
from papi_backup.engine.storage.opener import hasty
from papi_backup.engine.storage.protocol import ObjectMissingError
from papi_backup.model.errors import PapiError, StorageCredentialsError
from papi_backup.model.secret import Secret
from papi_backup.model.storage import S3Storage, StorageAccess

GUIDE = Path(__file__).parents[3] / "docs/docsite/rst/guide_s3_policy.rst"
BUCKET, PREFIX = "example-backups", "web1"
MEBIBYTE = 1 << 20
NEEDED = ("s3:ListBucket", "s3:GetObject", "s3:PutObject")
Policy = dict[str, Any]


def policies() -> tuple[Policy, Policy]:
    """Return what the guide gives to a host, and to who only restores."""
    found = re.findall(r"code-block:: json\n\n((?: +.*\n)+)", GUIDE.read_text())
    host, reader = map(json.loads, found)
    return host, reader


def without(policy: Policy, action: str) -> Policy:
    left = copy.deepcopy(policy)
    for statement in left["Statement"]:
        given = statement["Action"]
        statement["Action"] = [one for one in ([given] if isinstance(given, str) else given) if one != action]
    left["Statement"] = [statement for statement in left["Statement"] if statement["Action"]]
    return left


@dataclass
class Account:
    """One user of the server, whose policy changes."""

    server: S3Server
    storage: S3Storage

    def client(self, service: str) -> Any:
        """Return a client of the server's administrator."""
        return boto3.client(
            service,
            endpoint_url=self.server.endpoint_url,
            region_name=self.server.region,
            aws_access_key_id=self.server.access_key,
            aws_secret_access_key=self.server.secret_key,
        )

    def may(self, policy: Policy) -> StorageAccess:
        """Put the policy in force; return access with it."""
        document = json.dumps(policy)
        self.client("iam").put_user_policy(UserName="web1", PolicyName="guide", PolicyDocument=document)
        time.sleep(1.0)  # the server reads its users again when it is told of a change
        return StorageAccess(self.storage)

    def uploads(self) -> list[str]:
        answer = self.client("s3").list_multipart_uploads(Bucket=BUCKET, Prefix=f"{PREFIX}/")
        return [upload["Key"] for upload in answer.get("Uploads", [])]


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    with S3Server(tmp_path_factory.mktemp("s3"), policies=True) as server:
        server.make_bucket(BUCKET)
        made = Account(
            server,
            S3Storage(
                storage_name="bucket",
                aws_key_id="",
                aws_secret_key=Secret(""),
                bucket_name=BUCKET,
                file_size=8,
                endpoint_url=server.endpoint_url,
                region=server.region,
                prefix=PREFIX,
            ),
        )
        made.client("iam").create_user(UserName="web1")
        key = made.client("iam").create_access_key(UserName="web1")["AccessKey"]
        made.storage = replace(
            made.storage, aws_key_id=key["AccessKeyId"], aws_secret_key=Secret(key["SecretAccessKey"])
        )
        yield made


@pytest.fixture
def opened(account: Account) -> Iterator[list[Connectable]]:
    storages: list[Connectable] = []
    yield storages
    for storage in storages:
        storage.close()


def opened_with(access: StorageAccess, opened: list[Connectable]) -> Connectable:
    storage = hasty(access, 20.0)
    opened.append(storage)
    storage.open()
    return storage


def large(storage: Connectable, name: str) -> Any:
    """Begin an object of two parts."""
    writer = storage.create(name, 65 * MEBIBYTE)
    writer.write(bytes(20 * MEBIBYTE))
    return writer


def test_the_policy_of_a_host_is_enough_for_all_that_an_agent_does(
    account: Account, opened: list[Connectable]
) -> None:
    access = account.may(policies()[0])
    assert check_storage(access, 20.0).steps[-1].name == "room"
    storage = opened_with(access, opened)
    large(storage, "data/large").commit()
    assert storage.stat("data/large").size == 20 * MEBIBYTE
    assert storage.get("data/large", offset=5, length=3) == bytes(3)
    assert [found.name for found in storage.list("data/")] == ["data/large"]
    assert "data" in storage.list_children("")
    with pytest.raises(ObjectMissingError):
        storage.get("data/none")
    writer = large(storage, "data/given-up")
    assert account.uploads() == [f"{PREFIX}/data/given-up"]
    writer.abort()
    assert account.uploads() == []
    storage.delete(["data/large"])
    assert list(storage.list("")) == []


def test_a_host_can_neither_read_nor_write_nor_delete_below_the_prefix_of_another(
    account: Account, opened: list[Connectable]
) -> None:
    account.client("s3").put_object(Bucket=BUCKET, Key="web2/data/theirs", Body=b"theirs")
    access = account.may(policies()[0])
    storage = opened_with(replace(access, storage=replace(account.storage, prefix="web2")), opened)
    with pytest.raises(StorageCredentialsError):
        storage.get("data/theirs")
    with pytest.raises(StorageCredentialsError):
        storage.delete(["data/theirs"])
    writer = storage.create("data/ours")
    writer.write(b"ours")
    with pytest.raises(PapiError):
        writer.commit()


@pytest.mark.parametrize("action", NEEDED)
def test_without_one_of_its_actions_the_test_of_the_storage_fails(account: Account, action: str) -> None:
    with pytest.raises(StorageCredentialsError):
        check_storage(account.may(without(policies()[0], action)), 20.0)


def test_without_the_right_to_delete_it_passes_and_says_so(account: Account) -> None:
    steps = check_storage(account.may(without(policies()[0], "s3:DeleteObject")), 20.0).steps
    assert [step.detail[:14] for step in steps if step.name == "delete"] == ["may not delete"]


def test_the_policy_has_no_further_action_than_those_and_the_one_for_giving_up() -> None:
    """AWS asks for s3:AbortMultipartUpload as well; this server lets everybody abort who may write."""
    left = policies()[0]
    for action in ("s3:AbortMultipartUpload", "s3:DeleteObject", *NEEDED):
        left = without(left, action)
    assert left["Statement"] == []


def test_the_policy_to_restore_reads_and_does_nothing_else(
    account: Account, opened: list[Connectable]
) -> None:
    account.client("s3").put_object(Bucket=BUCKET, Key=f"{PREFIX}/data/kept", Body=b"kept")
    storage = opened_with(account.may(policies()[1]), opened)
    assert storage.get("data/kept") == b"kept"
    assert "data/kept" in [found.name for found in storage.list("data/")]
    with pytest.raises(StorageCredentialsError):
        storage.delete(["data/kept"])
    writer = storage.create("data/new")
    writer.write(b"new")
    with pytest.raises(StorageCredentialsError):
        writer.commit()
