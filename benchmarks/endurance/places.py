# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of a run: an agent, three storages behind proxies, and a backup configuration on each."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from bench.agent_api import call

from endurance.drawing import PLACES, Place
from realparts.agent import Agent
from realparts.proxy import Proxy
from realparts.s3cluster import S3Cluster
from realparts.s3server import S3Server
from realparts.sshd import Sshd

HOST_NAME = "endurance"
BUCKET = "endurance"
KEY = "the key of the endurance run"
_SSH_ID = "endurance"
_FILE_MEBIBYTES = 1
"""Volumes of a mebibyte: several of them, and uploads in parts, from a tree of some megabytes."""


@dataclass(frozen=True)
class Places:
    """All parts, running.  Storages and backup configurations have the names of their places."""

    agent: Agent
    proxies: dict[Place, Proxy]
    cluster: S3Cluster
    base: Path
    """Where the SSH server keeps what it is given."""

    server: S3Server

    def temporary_objects(self) -> dict[Place, int]:
        """Return how many objects were begun and never finished, by storage."""
        return {
            "sftp": len(list((self.base / "tmp").glob("*"))),
            "s3": _uploads(self.server),
            "cluster": _uploads(self.cluster),
        }


@contextlib.contextmanager
def running_places(directory: Path, source: Path) -> Iterator[Places]:
    """Start everything below a directory; what is backed up is ``source``."""
    with contextlib.ExitStack() as running:
        sshd = running.enter_context(Sshd(directory / "sshd"))
        server = running.enter_context(S3Server(directory / "s3"))
        cluster = running.enter_context(S3Cluster(directory / "cluster"))
        agent = running.enter_context(Agent(directory / "agent", HOST_NAME))
        ports: dict[Place, int] = {"sftp": sshd.port, "s3": server.port, "cluster": cluster.port}
        proxies = {place: running.enter_context(Proxy(ports[place])) for place in PLACES}
        base = directory / "base"
        base.mkdir()
        _add_ssh(agent, sshd, proxies["sftp"], base)
        _add_bucket(agent, "s3", server, proxies["s3"])
        _add_bucket(agent, "cluster", cluster, proxies["cluster"])
        for storage in call(agent.socket, "storage/list")["data"]:
            call(
                agent.socket,
                "backup-config/add",
                backup_name=storage["storage_name"],
                storage_id=storage["storage_id"],
                encryption_key=KEY,
                paths=[str(source)],
            )
        yield Places(agent, proxies, cluster, base, server)


def _add_ssh(agent: Agent, sshd: Sshd, proxy: Proxy, base: Path) -> None:
    call(agent.socket, "ssh-id/new", key_name=_SSH_ID, key_length=256)
    number = call(agent.socket, "ssh-id/list")["data"][0]["ssh_id_id"]
    sshd.add_authorized_key(call(agent.socket, "ssh-id/get-pub", ssh_id_id=number)["data"]["pub_key"])
    call(
        agent.socket,
        "storage/ssh/add",
        storage_name="sftp",
        server_name="127.0.0.1",
        ssh_port=proxy.port,
        ssh_username=sshd.user,
        ssh_id_id=number,
        storage_base=str(base),
        host_key=sshd.host_key,
    )


def _add_bucket(agent: Agent, place: Place, server: S3Server | S3Cluster, proxy: Proxy) -> None:
    server.make_bucket(BUCKET)
    call(
        agent.socket,
        "storage/s3/add",
        storage_name=place,
        aws_key_id=server.access_key,
        aws_secret_key=server.secret_key,
        file_size=_FILE_MEBIBYTES,
        bucket_name=BUCKET,
        endpoint_url=f"http://127.0.0.1:{proxy.port}",
        region=server.region,
        prefix="kept",
    )


def _uploads(server: S3Server | S3Cluster) -> int:
    client: Any = boto3.client(
        "s3",
        endpoint_url=server.endpoint_url,
        region_name=server.region,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
    )
    pages = client.get_paginator("list_multipart_uploads").paginate(Bucket=BUCKET)
    return sum(len(page.get("Uploads", ())) for page in pages)
