# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long storage/list and job/list take under many clients, beside a bare handler of the same server.

    make bench-api

A real agent serves a history of 10,000 jobs on a loopback port.  uvicorn with a trivial ASGI application, in
a process of its own and with the same implementation of HTTP, serves a short answer, and one as long as
job/list's.  Clients are threads of two processes, each with one connection, and ask again as soon as they are
answered; all answers to a question must have the same length.  The figures are seconds from the first byte
sent to the last byte received; a ratio is the agent's figure by that of the bare handler.
"""

from __future__ import annotations

import argparse
import dataclasses
import http.client
import json
import multiprocessing
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path

from papi_backup.model.job import Job
from papi_backup.model.secret import Secret
from papi_backup.model.storage import S3Storage
from papi_backup.state.jobs import JobRequest
from papi_backup.state.store import Store

BARE = """
import sys
import uvicorn


async def app(scope, receive, send):
    answer = b"x" * int(scope["path"].strip("/"))
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


port = int(sys.argv[1])
uvicorn.run(app, port=port, http="h11", ws="none", lifespan="off", access_log=False, log_level="error")
"""
STARTING_SECONDS = 30.0
PROCESSES = 2
Report = tuple[list[float], list[int]]


@dataclass(frozen=True)
class Target:
    """What is asked for, and how often by each client."""

    name: str
    port: int
    path: str
    cookie: str
    requests: int


@dataclass(frozen=True)
class Figures:
    """Seconds of one target's answers; ``size`` in bytes."""

    median: float
    p99: float
    rate: float
    size: int


def free_port() -> int:
    """Return a port that nobody listens on."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port: int = server.getsockname()[1]
        return port


def prepare(directory: Path, port: int, jobs: int, storages: int) -> Path:
    """Write settings and a state with history; return the settings' file."""
    config = directory / "agent.toml"
    config.write_text(
        f'state_dir = "{directory}/state"\nhost_name = "bench.example"\n[api]\nlisten = "127.0.0.1:{port}"\n'
    )
    with Store.open(directory / "state") as store:
        store.accounts.add("bench", "administrator", Secret("bench"))
        for number in range(storages):
            store.storages.add(S3Storage(f"storage-{number}", "id", Secret("key"), "bucket", 64))
        start = datetime(2026, 1, 1, tzinfo=UTC)
        with store.transaction():
            for number in range(jobs):
                added = start + timedelta(minutes=30 * number)
                job = Job(
                    0,
                    "backup",
                    "success",
                    f"backup-{number % 7}",
                    "inc" if number % 7 else "full",
                    added,
                    added + timedelta(minutes=4),
                    "Backed up 12,345 files; 3 of them changed.",
                    size_transferred=123_456_789 + number,
                    files=12_345,
                    bytes_read=987_654_321,
                    bytes_stored=123_456_789,
                )
                store.jobs.add(job, JobRequest())
    return config


@contextmanager
def running(command: Sequence[str], port: int) -> Iterator[None]:
    """Run a server until it is not needed any more."""
    process = subprocess.Popen(command)
    try:
        deadline = time.monotonic() + STARTING_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait()


def log_in(port: int) -> str:
    """Return the cookie of a session."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.request("GET", "/papi/login?username=bench&password=bench")
        answer = connection.getresponse()
        answer.read()
        return (answer.headers["Set-Cookie"] or "").partition(";")[0]


def ask(target: Target, taken: list[float], sizes: set[int], start: Barrier) -> None:
    """Be one client."""
    head = f"GET {target.path} HTTP/1.1\r\nHost: a\r\nCookie: {target.cookie}\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", target.port), timeout=120) as connection:
        start.wait()
        for _unused in range(target.requests):
            began = time.perf_counter()
            connection.sendall(head)
            sizes.add(receive(connection))
            taken.append(time.perf_counter() - began)


def receive(connection: socket.socket) -> int:
    """Read one answer with as little work as possible; return its body's length."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(65536)
    head, _unused, body = received.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200 "):
        raise RuntimeError(received[:200])
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    left = length - len(body)
    while left > 0:
        left -= len(connection.recv(min(left, 1 << 20)))
    return length


def be_clients(target: Target, clients: int, start: Barrier, queue: Queue[Report]) -> None:
    """Be several clients in threads, and report."""
    taken: list[float] = []
    sizes: set[int] = set()
    threads = [threading.Thread(target=ask, args=(target, taken, sizes, start)) for unused in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    queue.put((taken, sorted(sizes)))


def measure(target: Target, clients: int) -> Figures:
    """Ask with that many clients at once."""
    context = multiprocessing.get_context("spawn")
    queue: Queue[Report] = context.Queue()
    start = context.Barrier(clients + 1)
    shares = [clients // PROCESSES + (number < clients % PROCESSES) for number in range(PROCESSES)]
    workers = [
        context.Process(target=be_clients, args=(target, share, start, queue)) for share in shares if share
    ]
    for worker in workers:
        worker.start()
    start.wait(STARTING_SECONDS)
    began = time.perf_counter()
    reports = [queue.get(timeout=600) for unused in workers]
    seconds = time.perf_counter() - began
    for worker in workers:
        worker.join()
    taken = sorted(one for times, unused in reports for one in times)
    sizes = {size for unused, found in reports for size in found}
    if len(taken) != clients * target.requests or len(sizes) != 1:
        raise RuntimeError(f"{target.name}: {len(taken)} answers of sizes {sizes}")
    p99 = taken[min(len(taken) - 1, int(len(taken) * 0.99))]
    return Figures(statistics.median(taken), p99, len(taken) / seconds, sizes.pop())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Latency of the API's listings.")
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--requests", type=int, default=60, help="of each client, for short answers")
    parser.add_argument("--json", type=Path, help="write the figures there as well")
    options = parser.parse_args()
    bare_port, port = free_port(), free_port()
    with tempfile.TemporaryDirectory(prefix="papi-bench-") as name:
        config = prepare(Path(name), port, options.jobs, storages=20)
        bare = (sys.executable, "-c", BARE, str(bare_port))
        agent = (sys.executable, "-m", "papi_backup.daemon", "--config", str(config))
        with running(bare, bare_port), running(agent, port):
            figures = measure_all(bare_port, port, options.clients, options.requests)
    report(figures, options.clients, options.jobs)
    if options.json:
        rows = {key: dataclasses.asdict(found) for key, (found, unused) in figures.items()}
        options.json.write_text(json.dumps(rows, indent=1))


def measure_all(bare_port: int, port: int, clients: int, requests: int) -> dict[str, tuple[Figures, str]]:
    """Return figures by name, each with the name of what it is a multiple of."""
    cookie = log_in(port)
    few = max(2, requests // 6)
    listing = Target("job/list", port, "/papi/backup/job/list", cookie, few)
    # Also the first call of all, which has to encode the whole history.
    size = measure(replace(listing, requests=2), 1).size
    short, long = "bare, 30 bytes", f"bare, {size} bytes"
    rows = (
        (Target(short, bare_port, "/30", "", requests), short),
        (Target("storage/list", port, "/papi/backup/storage/list", cookie, requests), short),
        (Target(long, bare_port, f"/{size}", "", few), long),
        (listing, long),
    )
    figures = {}
    for target, basis in rows:
        measure(replace(target, requests=2), 2)
        figures[target.name] = (measure(target, clients), basis)
    return figures


def report(figures: dict[str, tuple[Figures, str]], clients: int, jobs: int) -> None:
    """Print a table."""
    print(f"{clients} clients, {jobs} jobs, {os.cpu_count()} cores")
    print(f"{'':<20}{'median ms':>11}{'p99 ms':>9}{'a second':>10}{'median ratio':>14}{'p99 ratio':>11}")
    for name, (found, basis) in figures.items():
        bare = figures[basis][0]
        median, p99 = found.median / bare.median, found.p99 / bare.p99
        times = f"{found.median * 1e3:>11.1f}{found.p99 * 1e3:>9.1f}{found.rate:>10.0f}"
        print(f"{name:<20}{times}{median:>14.1f}{p99:>11.1f}")


if __name__ == "__main__":
    main()
