# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process of one job: ``python -m papi_backup.jobs.worker --messages FD --parent PID …``.

It reads its order from standard input, runs the engine at low priority and writes progress and the
outcome as JSON lines to ``FD``.  It starts no thread before the engine runs, so that the engine
may fork helpers.  It leads its own process group.  SIGTERM to it alone ends the job: it takes back
what it wrote, or, once it has committed, tells its success.  Whoever loses patience kills the group.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import gc
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol

from papi_backup.confinement import keep_to_itself
from papi_backup.engine.termination import orderly_termination, refuse_termination
from papi_backup.jobs.codec import secrets_in
from papi_backup.jobs.edge import log_to_stderr, outcome_of
from papi_backup.jobs.isolation import die_with_parent
from papi_backup.jobs.orders import HostKeySeen, JobOrder, dump_message, load_order
from papi_backup.jobs.priority import JobPriority
from papi_backup.jobs.redaction import Redactor
from papi_backup.model.job import REPORT_SECONDS, BackupOrder, JobResult, Progress, RestoreOrder
from papi_backup.model.storage import SshStorage, StorageAccess

Report = Callable[[Progress], None]


class Engine(Protocol):
    """What a worker runs; tests put their own in its place."""

    def backup(self, order: BackupOrder, report: Report) -> JobResult:
        """Run one backup.  Raises :class:`PapiError`."""

    def restore(self, order: RestoreOrder, report: Report) -> JobResult:
        """Run one restore.  Raises :class:`PapiError`."""


class RealEngine:
    """The engine of this package, imported only when a job needs it.

    What is imported stays: the collector looks at none of it, not meanwhile, nor later, nor in helpers.
    ``seen`` is told the host key of a server that nobody knew before anything else is done there.
    """

    def __init__(self, seen: Callable[[HostKeySeen], None]) -> None:
        self._seen = seen

    def backup(self, order: BackupOrder, report: Report) -> JobResult:
        """Run one backup on the storage that the order names."""
        with _kept_for_good():
            from papi_backup.engine.backup import run_backup  # noqa: PLC0415 - a restore does not pay for it
            from papi_backup.engine.storage.opener import opener_for  # noqa: PLC0415 - late, as above

            opener = opener_for(order.access, order.limits)
        known = self._acquainted(order.access)
        if known != order.access:
            order = replace(order, access=known)
            opener = opener_for(known, order.limits)
        return run_backup(order, opener, report, functools.partial(datetime.now, UTC))

    def restore(self, order: RestoreOrder, report: Report) -> JobResult:
        """Run one restore from the storage that the order names."""
        with _kept_for_good():
            from papi_backup.engine.restore import run_restore  # noqa: PLC0415 - a backup does not pay for it
            from papi_backup.engine.storage.opener import opener_for  # noqa: PLC0415 - late, as above

            opener = opener_for(order.access, order.limits)
        known = self._acquainted(order.access)
        if known != order.access:
            order = replace(order, access=known)
            opener = opener_for(known, order.limits)
        return run_restore(order, opener, report)

    def _acquainted(self, access: StorageAccess) -> StorageAccess:
        from papi_backup.engine.storage.opener import acquainted  # noqa: PLC0415 - late, as above

        known = acquainted(access)
        if known != access and isinstance(known.storage, SshStorage):
            self._seen(HostKeySeen(known.storage.host_key))
        return known


@contextlib.contextmanager
def _kept_for_good() -> Iterator[None]:
    """Without the garbage collector, which then leaves alone what has come to be."""
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()


class ProgressWriter:
    """Writes the engine's progress to the message pipe, at most one line an interval."""

    def __init__(self, pipe: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._pipe = pipe
        self._monotonic = monotonic
        self._next = monotonic()

    def __call__(self, progress: Progress) -> None:
        """Pass ``progress`` on, or drop it when the last line is recent; never one that says it commits."""
        now = self._monotonic()
        if progress.committing or now >= self._next:
            self._next = now + REPORT_SECONDS
            write_all(self._pipe, dump_message(progress))


def write_all(pipe: int, data: bytes) -> None:
    """Write all of ``data``: a pipe may take less at once."""
    view = memoryview(data)
    while view:
        view = view[os.write(pipe, view) :]


def read_order() -> JobOrder:
    """Read the order and put an empty standard input in its place: helpers shall not find it there."""
    with open(0, "rb", closefd=False) as stdin:
        order = load_order(stdin.read())
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return order


def run(engine: Engine, order: JobOrder, report: Report) -> JobResult:
    """Run the order on the engine."""
    if isinstance(order, BackupOrder):
        return engine.backup(order, report)
    return engine.restore(order, report)


def main(arguments: Sequence[str] | None = None, engine: Engine | None = None) -> int:
    """Run one job; the exit status is 0 also for a job that failed in an orderly way."""
    keep_to_itself()
    parser = argparse.ArgumentParser(prog="papi_backup.jobs.worker")
    parser.add_argument("--messages", type=int, required=True)
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--nice", type=int, default=0)
    parser.add_argument("--ionice", default="none")
    options = parser.parse_args(arguments)
    if not die_with_parent(options.parent):
        return 1
    priority = JobPriority(options.nice, options.ionice)
    order = read_order()
    priority.follow(order.limits)
    redactor = Redactor(secrets_in(order))
    log_to_stderr(redactor)
    tell = ProgressWriter(options.messages)

    def report(progress: Progress) -> None:
        tell(progress)
        priority.look()

    def seen(message: HostKeySeen) -> None:
        write_all(options.messages, dump_message(message))

    with orderly_termination():
        outcome = outcome_of(lambda: run(engine or RealEngine(seen), order, report), redactor)
        # What is done is told: the agent would take a finished backup for one that was taken back.
        refuse_termination()
        write_all(options.messages, dump_message(outcome))
    os.close(options.messages)
    return 0


if __name__ == "__main__":
    sys.exit(main())
