# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster of SeaweedFS on free loopback ports: a master, three volume servers, a filer and its S3 door.

Every object lies on two of the volume servers (replication 001).  Everything lies in the given directory:
``master/``, ``volume-N/``, ``filer/``, ``s3.json`` (mode 0600), and a log of each process.
"""

from __future__ import annotations

import http.client
import json
import os
import secrets
import shutil
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

from realparts.process import OwnedProcess, ServerError, accepts_connections, free_ports
from realparts.s3request import REGION
from realparts.weed import Door, find_weed, remove_sockets, write_identities

READY_SECONDS = 60.0
REPLICATION = "001"
"""One more copy, on another server of the same rack."""

VOLUME_MEBIBYTES = 64
VOLUMES = 200
"""How many a server may hold: each of them takes room only for what lies in it."""

_ON_LOOPBACK = ("-ip=127.0.0.1", "-ip.bind=127.0.0.1")


class S3Cluster:
    """A running cluster; a context manager."""

    region = REGION

    def __init__(self, directory: Path, servers: int = 3, access_key: str = "test-access-key") -> None:
        self.directory = Path(directory).absolute()
        self.servers = servers
        self.access_key = access_key
        self.secret_key = secrets.token_hex(20)
        self.port = 0
        self._weed = find_weed()
        self._ports: list[int] = []
        self._master_port = 0
        self._master: OwnedProcess | None = None
        self._filer: OwnedProcess | None = None
        self._s3: OwnedProcess | None = None
        self._volumes: list[OwnedProcess] = []

    def __enter__(self) -> S3Cluster:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *unused_details: object) -> None:
        self.stop()

    @property
    def endpoint_url(self) -> str:
        """Where clients connect."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def is_alive(self) -> bool:
        """Whether every process runs, a killed one among them."""
        return bool(self._volumes) and all(one is not None and one.pid for one in self._processes())

    def start(self) -> None:
        """Start all and wait until an object can be written; other ports are tried if some are taken."""
        for attempts_left in (2, 1, 0):
            try:
                self._start_once()
                return
            except ServerError as error:
                self.stop()
                if not attempts_left or "address already in use" not in str(error):
                    raise

    def stop(self) -> None:
        """End everything and remove its data."""
        for process in self._processes():
            if process is not None:
                process.stop()
        self._master, self._filer, self._s3, self._volumes = None, None, None, []
        remove_sockets(self._ports)
        for data in ("master", "filer", "s3", *(f"volume-{number}" for number in range(self.servers))):
            shutil.rmtree(self.directory / data, ignore_errors=True)

    def make_bucket(self, name: str) -> None:
        """Create the bucket ``name``; one that exists is no error."""
        self._door.make_bucket(name)

    def kill_one(self, number: int) -> None:
        """Kill a volume server, from 0, as power loss does; its data stays.  One that is down stays so."""
        process = self._volumes[number]
        if process.pid:
            os.kill(process.pid, signal.SIGKILL)
        process.stop()

    def bring_back(self, number: int) -> None:
        """Start a killed volume server on its data; return once the cluster knows it and takes objects."""
        process = self._volumes[number]
        if not process.pid:
            process.start()
        process.wait_ready(lambda: self.known_servers() == self.servers, READY_SECONDS)
        process.wait_ready(self._door.can_write, READY_SECONDS)

    def known_servers(self) -> int:
        """Return how many volume servers the master knows to live; 0 when it does not answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self._master_port, timeout=5)
        try:
            connection.request("GET", "/dir/status")
            centers = json.loads(connection.getresponse().read())["Topology"]["DataCenters"] or ()
            racks = [rack for center in centers for rack in center["Racks"] or ()]
            return sum(len(rack["DataNodes"] or ()) for rack in racks)
        except (OSError, http.client.HTTPException, ValueError, KeyError):
            return 0
        finally:
            connection.close()

    @property
    def _door(self) -> Door:
        return Door(self.port, self.access_key, self.secret_key)

    def _processes(self) -> list[OwnedProcess | None]:
        return [self._s3, self._filer, *self._volumes, self._master]

    def _start_once(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        write_identities(self.directory / "s3.json", self.access_key, self.secret_key)
        ports = iter(free_ports(6 + 2 * self.servers))
        self._master_port, master_grpc = next(ports), next(ports)
        master = f"-master=127.0.0.1:{self._master_port}.{master_grpc}"
        self._master = self._begin("master", self._master_options(self._master_port, master_grpc))
        self._wait(self._master, lambda: self._answers(self._master_port))
        self._volumes = [
            self._begin(f"volume-{number}", self._volume_options(number, master, next(ports), next(ports)))
            for number in range(self.servers)
        ]
        self._wait(self._volumes[-1], lambda: self.known_servers() == self.servers)
        self.port, filer, grpc, s3_grpc = (next(ports) for unused in range(4))
        self._ports = [self.port, filer]
        self._filer = self._begin("filer", self._filer_options(master, filer, grpc))
        self._wait(self._filer, lambda: accepts_connections(filer) and accepts_connections(grpc))
        self._s3 = self._begin("s3", self._s3_options(filer, grpc, s3_grpc))
        self._wait(self._s3, self._door.can_write)

    def _begin(self, name: str, options: Sequence[str]) -> OwnedProcess:
        (self.directory / name).mkdir(exist_ok=True)
        command = [self._weed, "-logtostderr=true", *options]
        process = OwnedProcess(command, self.directory / f"{name}.log", self.directory)
        process.start()
        return process

    def _wait(self, process: OwnedProcess, is_ready: Callable[[], bool]) -> None:
        process.wait_ready(is_ready, READY_SECONDS)

    def _answers(self, port: int) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/cluster/status")
            answer = connection.getresponse()
            return answer.status == 200 and bool(json.loads(answer.read()).get("IsLeader"))
        except (OSError, http.client.HTTPException, ValueError):
            return False
        finally:
            connection.close()

    def _master_options(self, port: int, grpc: int) -> list[str]:
        return [
            "master",
            *_ON_LOOPBACK,
            f"-port={port}",
            f"-port.grpc={grpc}",
            f"-mdir={self.directory / 'master'}",
            "-peers=none",
            "-telemetry=false",
            f"-defaultReplication={REPLICATION}",
            f"-volumeSizeLimitMB={VOLUME_MEBIBYTES}",
        ]

    def _volume_options(self, number: int, master: str, port: int, grpc: int) -> list[str]:
        return [
            "volume",
            *_ON_LOOPBACK,
            master,
            f"-port={port}",
            f"-port.grpc={grpc}",
            f"-dir={self.directory / f'volume-{number}'}",
            f"-max={VOLUMES}",
            "-preStopSeconds=0",
        ]

    def _filer_options(self, master: str, port: int, grpc: int) -> list[str]:
        return [
            "filer",
            *_ON_LOOPBACK,
            master,
            f"-port={port}",
            f"-port.grpc={grpc}",
            f"-defaultStoreDir={self.directory / 'filer'}",
            f"-defaultReplicaPlacement={REPLICATION}",
        ]

    def _s3_options(self, filer: int, filer_grpc: int, grpc: int) -> list[str]:
        return [
            "s3",
            "-ip.bind=127.0.0.1",
            f"-filer=127.0.0.1:{filer}.{filer_grpc}",
            f"-port={self.port}",
            f"-port.grpc={grpc}",
            f"-config={self.directory / 's3.json'}",
            "-autoCreateBucket=false",
            "-port.iceberg=0",
            "-port.lance=0",
        ]
