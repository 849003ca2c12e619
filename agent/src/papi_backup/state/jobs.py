# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The job queue and history: one-row transitions that happen once, whoever races."""

from __future__ import annotations

import builtins
import sqlite3
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from papi_backup.model.errors import InternalError, InvalidParameterError, NoSuchEntityError
from papi_backup.model.job import Job, JobResult, JobType, RestoreOptions
from papi_backup.model.schedule import BackupType
from papi_backup.state import history
from papi_backup.state.database import Database, StateError, Value
from papi_backup.state.instants import from_text, to_text
from papi_backup.state.restore_order import options_from_text, options_to_text
from papi_backup.state.sealing import Cell, Sealer

_INSERT = (
    "INSERT INTO jobs (job_id, job_type, job_status, backup_name, backup_type, start_date, end_date,"
    " description, error_code, size_transferred, backup_id, request_id, files, bytes_read, bytes_stored,"
    " entries_changed, warnings, restore_options, restore_key)"
    " VALUES (:job_id, :job_type, :job_status, :backup_name, :backup_type, :start_date, :end_date,"
    " :description, :error_code, :size_transferred, :backup_id, :request_id, :files, :bytes_read,"
    " :bytes_stored, :entries_changed, :warnings, :restore_options, :restore_key)"
)

_FAIL = (
    "UPDATE jobs SET job_status = 'failed', end_date = :end_date, description = :description,"
    " error_code = :error_code, restore_key = NULL WHERE job_id = :job_id"
)

_ASKED_ONE_BY_ONE = 200
"""Beyond, reading the whole table is quicker."""


@dataclass(frozen=True, slots=True)
class JobRequest:
    """What a waiting job is to do: back up configuration ``backup_id``, or ``restore``."""

    backup_id: int = 0
    restore: RestoreOptions | None = None


@dataclass(frozen=True, slots=True)
class JobExtent:
    """How many jobs there are, the newest one's id, and the ids of those that wait or run.

    Ids only grow, so equal extents mean the same jobs: removing one lowers the count, and adding one in its
    place moves the last id.  Jobs end once, so those that are not live have ended, the same ones.
    """

    count: int
    last_id: int
    live: tuple[int, ...]


class JobTransitionError(InternalError):
    """The job is not in a state this step can start from: another thread was first, or it has ended."""


class Jobs:
    """The table ``jobs``: waiting -> running -> success or failed, and waiting -> failed."""

    def __init__(self, database: Database, sealer: Sealer, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._sealer = sealer
        self._clock = clock

    def add(self, job: Job, order: JobRequest) -> Job:
        """Queue ``job`` and return it with its id.

        A ``request_id`` that was used before returns the job it made then, and queues nothing (wire.md);
        what :meth:`earlier` raises holds here too, for two calls that race.
        """
        with self._database.transaction():
            earlier = self.earlier(job.request_id, job.job_type, job.backup_name)
            if earlier is not None:
                return earlier
            added = replace(
                job, job_id=self._database.next_id("jobs"), backup_id=order.backup_id or job.backup_id
            )
            self._database.execute(_INSERT, _job_values(added) | self._order_values(added.job_id, order))
        return added

    def get(self, job_id: int) -> Job:
        """Return one; raises :class:`NoSuchEntityError`."""
        row = self._database.row("SELECT * FROM jobs WHERE job_id = ?", (job_id,))
        if row is None:
            raise NoSuchEntityError(f"there is no job {job_id}")
        return _from_row(row)

    def list(self, limit: int | None = None) -> list[Job]:
        """Return the newest ``limit`` jobs (all when None), in creation order."""
        newest = self._database.rows(
            "SELECT * FROM jobs ORDER BY job_id DESC LIMIT ?", (-1 if limit is None else limit,)
        )
        return [_from_row(row) for row in reversed(newest)]

    def endings(self) -> builtins.list[tuple[int, bool]]:
        """Return each job's id, and whether it has ended and never changes again, in creation order."""
        rows = self._database.rows(
            "SELECT job_id, job_status NOT IN ('waiting', 'running') FROM jobs ORDER BY job_id"
        )
        return [(job_id, bool(ended)) for job_id, ended in rows]

    def extent(self) -> JobExtent:
        """Return what tells, without reading the history, whether the same jobs are there and have ended."""
        row = self._database.row("SELECT count(*), max(job_id) FROM jobs")
        live = self._database.rows(
            "SELECT job_id FROM jobs WHERE job_status IN ('waiting', 'running') ORDER BY job_id"
        )
        count, last = (row[0], row[1] or 0) if row else (0, 0)
        return JobExtent(count, last, tuple(job_id for (job_id,) in live))

    def some(self, job_ids: Collection[int]) -> builtins.list[Job]:
        """Return those of these jobs that there are, in creation order."""
        if len(job_ids) > _ASKED_ONE_BY_ONE:
            wanted = frozenset(job_ids)
            return [job for job in self.list() if job.job_id in wanted]
        marks = ", ".join("?" * len(job_ids))
        query = f"SELECT * FROM jobs WHERE job_id IN ({marks}) ORDER BY job_id"  # noqa: S608 (marks only)
        return [_from_row(row) for row in self._database.rows(query, tuple(job_ids))]

    def by_request_id(self, request_id: str) -> Job | None:
        """Return the job a ``request_id`` made, if any; the empty one names none."""
        if not request_id:
            return None
        row = self._database.row("SELECT * FROM jobs WHERE request_id = ?", (request_id,))
        return _from_row(row) if row else None

    def earlier(self, request_id: str, job_type: JobType, backup_name: str) -> Job | None:
        """Return the job that this very call made before, if any.

        Raises :class:`InvalidParameterError` when the ``request_id`` was used for something else.
        """
        job = self.by_request_id(request_id)
        if job is not None and (job.job_type, job.backup_name) != (job_type, backup_name):
            raise InvalidParameterError(
                f"Invalid value of 'request_id': it was used for the {job.job_type} of {job.backup_name!r}.",
                "request_id",
            )
        return job

    def last(self, backup_name: str, backup_type: BackupType) -> Job | None:
        """Return the newest backup job of that name and type, in whatever state."""
        row = self._database.row(
            "SELECT * FROM jobs WHERE backup_name = ? AND job_type = 'backup' AND backup_type = ?"
            " ORDER BY job_id DESC LIMIT 1",
            (backup_name, backup_type),
        )
        return _from_row(row) if row else None

    def last_success(self, backup_name: str, backup_type: BackupType) -> Job | None:
        """Return the newest backup job of that name and type that succeeded."""
        row = self._database.row(
            "SELECT * FROM jobs WHERE backup_name = ? AND job_type = 'backup' AND backup_type = ?"
            " AND job_status = 'success' ORDER BY job_id DESC LIMIT 1",
            (backup_name, backup_type),
        )
        return _from_row(row) if row else None

    def next_waiting(self, busy_backups: Collection[str]) -> tuple[Job, JobRequest] | None:
        """Return the oldest waiting job whose backup is not busy, and its order; None when there is none.

        A job whose order cannot be read any more fails (code 3015): those behind it must not wait for it.
        """
        rows = self._database.rows("SELECT * FROM jobs WHERE job_status = 'waiting' ORDER BY job_id")
        for row in rows:
            if row["backup_name"] in busy_backups:
                continue
            try:
                order = self._order(row)
            except StateError as error:
                self._give_up(row["job_id"], error)
            else:
                return _from_row(row), order
        return None

    def _give_up(self, job_id: int, error: StateError) -> None:
        text = f"the order of this job cannot be read ({error.message}); add the job again"
        # Another thread may have ended the job meanwhile.
        with suppress(JobTransitionError):
            self.fail(job_id, InternalError.code, f"[{InternalError.code}] {text}")

    def start(self, job_id: int) -> Job:
        """Waiting -> running.  A second start raises :class:`JobTransitionError`.

        ``start_date`` stays: the spec has it as the date the job was added.
        """
        return self._step(
            job_id,
            "start",
            "UPDATE jobs SET job_status = 'running' WHERE job_id = :job_id AND job_status = 'waiting'",
            {},
        )

    def rename_waiting(self, backup_id: int, backup_name: str) -> None:
        """Have the backups that wait of a configuration carry its new name: under that they will run."""
        self._database.execute(
            "UPDATE jobs SET backup_name = ? WHERE backup_id = ? AND job_type = 'backup'"
            " AND job_status = 'waiting'",
            (backup_name, backup_id),
        )

    def finish(self, job_id: int, result: JobResult) -> Job:
        """Waiting or running -> success, with what the worker reported; the restore's key is erased."""
        return self._step(
            job_id,
            "finish",
            "UPDATE jobs SET job_status = 'success', end_date = :end_date, description = :description,"
            " backup_type = :backup_type, size_transferred = :size_transferred, files = :files,"
            " bytes_read = :bytes_read, bytes_stored = :bytes_stored,"
            " entries_changed = :entries_changed, warnings = :warnings,"
            " restore_key = NULL WHERE job_id = :job_id AND job_status IN ('waiting', 'running')",
            {
                "end_date": to_text(self._clock()),
                "description": _storable(result.description),
                "backup_type": result.backup_type,
                "size_transferred": result.size_transferred,
                "files": result.files,
                "bytes_read": result.bytes_read,
                "bytes_stored": result.bytes_stored,
                "entries_changed": result.entries_changed,
                "warnings": len(result.warnings),
            },
        )

    def cancel(self, job_id: int, code: int, description: str) -> Job:
        """Waiting -> failed, like :meth:`fail`; a job that runs raises :class:`JobTransitionError`."""
        return self._step(
            job_id, "cancel", f"{_FAIL} AND job_status = 'waiting'", self._end(code, description)
        )

    def fail(self, job_id: int, code: int, description: str) -> Job:
        """Waiting or running -> failed, with a papi code; the restore's key is erased."""
        return self._step(
            job_id,
            "fail",
            f"{_FAIL} AND job_status IN ('waiting', 'running')",
            self._end(code, description),
        )

    def fail_interrupted(self, description: str) -> builtins.list[Job]:
        """Fail every running job (code 3015): at start-up, those the agent did not live to end."""
        with self._database.transaction():
            rows = self._database.rows("SELECT job_id FROM jobs WHERE job_status = 'running' ORDER BY job_id")
            return [self.fail(row["job_id"], InternalError.code, description) for row in rows]

    def prune(self, keep_count: int, keep_days: int) -> int:
        """Keep live jobs, and the ``keep_count`` that ended last unless that is over ``keep_days`` ago.

        Also kept are the last job and the last success of each configuration and type.  How long ago is told
        by the jobs as much as by the clock: see ``history``.  0 means no such limit.  Returns how many went.
        """
        return history.prune(self._database, self._clock(), keep_count, keep_days)

    def _end(self, code: int, description: str) -> dict[str, Value]:
        return {
            "end_date": to_text(self._clock()),
            "description": _storable(description),
            "error_code": code,
        }

    def _step(self, job_id: int, step: str, sql: str, values: dict[str, Value]) -> Job:
        with self._database.transaction():
            changed = self._database.execute(sql, {"job_id": job_id} | values)
            job = self.get(job_id)
            if not changed:
                raise JobTransitionError(f"cannot {step} job {job_id}: it is {job.job_status}")
        return job

    def _order_values(self, job_id: int, order: JobRequest) -> dict[str, Value]:
        if order.restore is None:
            return {"restore_options": None, "restore_key": None}
        return {
            "restore_options": options_to_text(order.restore),
            "restore_key": self._sealer.seal(order.restore.encryption_key, _cell(job_id)),
        }

    def _order(self, row: sqlite3.Row) -> JobRequest:
        if row["restore_options"] is None:
            return JobRequest(backup_id=row["backup_id"])
        if not isinstance(row["restore_key"], bytes):
            raise StateError(f"{_cell(row['job_id'])}: there is no sealed value")
        key = self._sealer.open(row["restore_key"], _cell(row["job_id"]))
        return JobRequest(row["backup_id"], options_from_text(row["restore_options"], key))


def _cell(job_id: int) -> Cell:
    return Cell("jobs", "restore_key", str(job_id))


def _storable(description: str) -> str:
    """A file name in a description may hold undecodable bytes, which neither SQLite nor JSON clients take."""
    return description.encode("utf-8", "backslashreplace").decode("utf-8")


def _job_values(job: Job) -> dict[str, Value]:
    return {
        "job_id": job.job_id,
        "job_type": job.job_type,
        "job_status": job.job_status,
        "backup_name": job.backup_name,
        "backup_type": job.backup_type,
        "start_date": to_text(job.start_date),
        "end_date": to_text(job.end_date) if job.end_date else None,
        "description": _storable(job.description),
        "error_code": job.error_code,
        "size_transferred": job.size_transferred,
        "backup_id": job.backup_id,
        "request_id": job.request_id,
        "files": job.files,
        "bytes_read": job.bytes_read,
        "bytes_stored": job.bytes_stored,
        "entries_changed": job.entries_changed,
        "warnings": job.warnings,
    }


def _from_row(row: sqlite3.Row) -> Job:
    return Job(
        job_id=row["job_id"],
        job_type=row["job_type"],
        job_status=row["job_status"],
        backup_name=row["backup_name"],
        backup_type=row["backup_type"],
        start_date=from_text(row["start_date"]),
        end_date=from_text(row["end_date"]) if row["end_date"] else None,
        description=row["description"],
        error_code=row["error_code"],
        size_transferred=row["size_transferred"],
        backup_id=row["backup_id"],
        request_id=row["request_id"],
        files=row["files"],
        bytes_read=row["bytes_read"],
        bytes_stored=row["bytes_stored"],
        entries_changed=row["entries_changed"],
        warnings=row["warnings"],
    )
