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

from papi_backup.model.errors import InternalError, InvalidParameterError, NoSuchEntityError, in_words
from papi_backup.model.job import Job, JobResult, JobType, RestoreOptions
from papi_backup.model.schedule import BackupType
from papi_backup.state import history
from papi_backup.state.database import Database, StateError, Value, Values
from papi_backup.state.instants import from_text, to_text
from papi_backup.state.restore_order import options_from_text, options_to_text
from papi_backup.state.sealing import Cell, Sealer
from papi_backup.state.spoilt_rows import SpoiltRows, number_of, text_of

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

_SUCCEED = (
    "UPDATE jobs SET job_status = 'success', description = :description,"
    " backup_type = :backup_type, size_transferred = :size_transferred, files = :files,"
    " bytes_read = :bytes_read, bytes_stored = :bytes_stored, entries_changed = :entries_changed,"
    " warnings = :warnings"
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
    """How many jobs there are, the newest one's id, the ids of those that wait or run, and corrections.

    Ids only grow, so equal extents mean the same jobs: removing one lowers the count, and adding one in its
    place moves the last id.  Jobs end once, so those that are not live have ended, the same ones; one whose
    outcome was lost may be corrected when its storage tells it, which ``corrections`` counts.
    """

    count: int
    last_id: int
    live: tuple[int, ...]
    corrections: int = 0


class JobTransitionError(InternalError):
    """The job is not in a state this step can start from: another thread was first, or it has ended."""


class Jobs:
    """The table ``jobs``: waiting -> running -> success or failed, and waiting -> failed."""

    def __init__(
        self, database: Database, sealer: Sealer, clock: Callable[[], datetime], spoilt: SpoiltRows
    ) -> None:
        self._database = database
        self._sealer = sealer
        self._clock = clock
        self._spoilt = spoilt
        self._corrections = 0

    def add(self, job: Job, order: JobRequest) -> Job:
        """Queue ``job`` and return it with its id.

        A ``request_id`` that was used before returns the job it made then, and queues nothing;
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
        job = self._first("WHERE job_id = ?", (job_id,))
        if job is None:
            raise NoSuchEntityError(f"there is no job {job_id}")
        return job

    def list(self) -> list[Job]:
        """Return all jobs, in creation order."""
        return self._all("ORDER BY job_id", ())

    def endings(self) -> builtins.list[tuple[int, bool]]:
        """Return each job's id, and whether it has ended and never changes again, in creation order."""
        rows = self._database.rows(
            "SELECT job_id, job_status NOT IN ('waiting', 'running') FROM jobs ORDER BY job_id"
        )
        return [(job_id, bool(ended)) for job_id, ended in rows]

    def extent(self) -> JobExtent:
        """Return what tells, without reading the history, whether the same jobs are there and have ended."""
        with self._database.undisturbed():
            row = self._database.row("SELECT count(*), max(job_id) FROM jobs")
            live = self._database.rows(
                "SELECT job_id FROM jobs WHERE job_status IN ('waiting', 'running') ORDER BY job_id"
            )
            count, last = (row[0], row[1] or 0) if row else (0, 0)
            return JobExtent(count, last, tuple(job_id for (job_id,) in live), self._corrections)

    def some(self, job_ids: Collection[int]) -> builtins.list[Job]:
        """Return those of these jobs that there are, in creation order."""
        if len(job_ids) > _ASKED_ONE_BY_ONE:
            wanted = frozenset(job_ids)
            return [job for job in self.list() if job.job_id in wanted]
        marks = ", ".join("?" * len(job_ids))
        return self._all(f"WHERE job_id IN ({marks}) ORDER BY job_id", tuple(job_ids))

    def by_request_id(self, request_id: str) -> Job | None:
        """Return the job a ``request_id`` made, if any; the empty one names none."""
        if not request_id:
            return None
        return self._first("WHERE request_id = ?", (request_id,))

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
        return self._first(
            "WHERE backup_name = ? AND job_type = 'backup' AND backup_type = ? ORDER BY job_id DESC LIMIT 1",
            (backup_name, backup_type),
        )

    def last_success(self, backup_name: str, backup_type: BackupType) -> Job | None:
        """Return the newest backup job of that name and type that succeeded."""
        return self._first(
            "WHERE backup_name = ? AND job_type = 'backup' AND backup_type = ?"
            " AND job_status = 'success' ORDER BY job_id DESC LIMIT 1",
            (backup_name, backup_type),
        )

    def next_waiting(self, busy_backups: Collection[str]) -> tuple[Job, JobRequest] | None:
        """Return the oldest waiting job whose backup is not busy, and its order; None when there is none.

        A job whose order cannot be read any more fails (code 3015): those behind it must not wait for it.
        """
        for row in self._rows("WHERE job_status = 'waiting' ORDER BY job_id", ()):
            job = self._spoilt.read_one("jobs", row, _from_row)
            if job is None or job.backup_name in busy_backups:
                continue
            try:
                order = self._order(row)
            except StateError as error:
                self._give_up(row["job_id"], error)
            else:
                return job, order
        return None

    def _give_up(self, job_id: int, error: StateError) -> None:
        text = f"the order of this job cannot be read ({error.message}); add the job again"
        # Another thread may have ended the job meanwhile.
        with suppress(JobTransitionError):
            self.fail(job_id, InternalError.code, in_words(InternalError.code, text))

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
            f"{_SUCCEED}, end_date = :end_date, restore_key = NULL"
            " WHERE job_id = :job_id AND job_status IN ('waiting', 'running')",
            _result_values(result) | {"end_date": to_text(self._clock())},
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

    def correct(self, job_id: int, result: JobResult) -> Job:
        """Failed -> success: the storage has the backup of a job whose outcome was lost.  Its end stays."""
        return self._correct(
            job_id,
            f"{_SUCCEED}, error_code = 0 WHERE job_id = :job_id AND job_status = 'failed'",
            _result_values(result),
        )

    def correct_description(self, job_id: int, description: str) -> Job:
        """Have a failed job say what was found out about it later."""
        return self._correct(
            job_id,
            "UPDATE jobs SET description = :description WHERE job_id = :job_id AND job_status = 'failed'",
            {"description": _storable(description)},
        )

    def _correct(self, job_id: int, sql: str, values: dict[str, Value]) -> Job:
        with self._database.transaction():
            self._corrections += 1
            return self._step(job_id, "correct", sql, values)

    def running(self) -> builtins.list[Job]:
        """Return the jobs that run; at start-up, those an earlier agent did not live to end."""
        return self._all("WHERE job_status = 'running' ORDER BY job_id", ())

    def prune(self, keep_count: int, keep_days: int) -> int:
        """Keep live jobs, and the ``keep_count`` that ended last unless that is over ``keep_days`` ago.

        Also kept are the last job and the last success of each configuration and type.  How long ago is told
        by the jobs as much as by the clock: see ``history``.  0 means no such limit.  Returns how many went.
        """
        try:
            return history.prune(self._database, self._clock(), keep_count, keep_days)
        except (ValueError, TypeError):
            # The end of some job is no date: reading all of them sets it aside.
            self._all("", ())
            return history.prune(self._database, self._clock(), keep_count, keep_days)

    def _rows(self, condition: str, values: Values) -> builtins.list[sqlite3.Row]:
        return self._database.rows(f"SELECT rowid AS row_number, * FROM jobs {condition}", values)  # noqa: S608 (constants, marks)

    def _all(self, condition: str, values: Values) -> builtins.list[Job]:
        return self._spoilt.read("jobs", self._rows(condition, values), _from_row)

    def _first(self, condition: str, values: Values) -> Job | None:
        """Return the first job that can be read."""
        return next(iter(self._all(condition, values)), None)

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


def _result_values(result: JobResult) -> dict[str, Value]:
    return {
        "description": _storable(result.description),
        "backup_type": result.backup_type,
        "size_transferred": result.size_transferred,
        "files": result.files,
        "bytes_read": result.bytes_read,
        "bytes_stored": result.bytes_stored,
        "entries_changed": result.entries_changed,
        "warnings": max(len(result.warnings), result.warning_count),
    }


def _from_row(row: sqlite3.Row) -> Job:
    """Return the job.  Raises StateError or ValueError for values of another kind."""
    job = Job(
        job_id=row["job_id"],
        job_type=row["job_type"],
        job_status=row["job_status"],
        backup_name=text_of(row, "backup_name"),
        backup_type=row["backup_type"],
        start_date=from_text(row["start_date"]),
        end_date=from_text(row["end_date"]) if row["end_date"] else None,
        description=text_of(row, "description"),
        error_code=number_of(row, "error_code"),
        size_transferred=number_of(row, "size_transferred"),
        backup_id=number_of(row, "backup_id"),
        request_id=text_of(row, "request_id"),
        files=number_of(row, "files"),
        bytes_read=number_of(row, "bytes_read"),
        bytes_stored=number_of(row, "bytes_stored"),
        entries_changed=number_of(row, "entries_changed"),
        warnings=number_of(row, "warnings"),
    )
    if (job.end_date is None) == (job.job_status in ("success", "failed")):
        raise StateError("its end_date does not fit its job_status")
    return job
