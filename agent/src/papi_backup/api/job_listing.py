# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The listing of jobs, quick with a long history: a job that has ended is encoded once.

Encoding ten thousand jobs takes a fifth of a second of a core, and clients that wait for a job ask every few
seconds.  Only the jobs that may still change are read and encoded for each call.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from papi_backup.api.envelope import PreparedList, encode_item
from papi_backup.model.job import Job
from papi_backup.services.jobs import JobService

MAXIMUM_TABLES = 3
"""Of zones and formats; clients of an agent mostly share one."""

MAXIMUM_JOBS = 20_000
"""A table of so many takes some ten megabytes; the jobs beyond are encoded for each call."""

JobView = Callable[[Job], Mapping[str, object]]


@dataclass(slots=True)
class _Table:
    """Encoded jobs by their ids, of one zone and format."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    encoded: dict[int, bytes] = field(default_factory=dict)


class JobListing:
    """Encodings of jobs that have ended.  May be used by many threads at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tables: OrderedDict[tuple[str, str], _Table] = OrderedDict()

    def of(self, jobs: JobService, zone: ZoneInfo, view: JobView) -> PreparedList:
        """Return the list of all jobs; ``view`` must show a job that has ended always the same in a zone."""
        return PreparedList(lambda answer_format: self._items(jobs, zone, view, answer_format))

    def _items(self, jobs: JobService, zone: ZoneInfo, view: JobView, answer_format: str) -> list[bytes]:
        table = self._table(zone, answer_format)
        # Whoever comes second to an empty table waits for the first instead of doing the same.
        with table.lock:
            endings = jobs.endings()
            known = table.encoded
            changing = [job_id for job_id, ended in endings if not ended or job_id not in known]
            fresh: dict[int, bytes] = {}
            for job in jobs.some(changing):
                fresh[job.job_id] = encode_item(view(job), answer_format)
                if job.job_status not in ("waiting", "running") and len(known) < MAXIMUM_JOBS:
                    known[job.job_id] = fresh[job.job_id]
            if len(known) > len(endings):
                _forget(known, {job_id for job_id, unused in endings})
            listed = ((job_id, fresh.get(job_id) or known.get(job_id)) for job_id, unused in endings)
            # One that was removed from the history meanwhile has neither.
            return [encoded for unused, encoded in listed if encoded is not None]

    def _table(self, zone: ZoneInfo, answer_format: str) -> _Table:
        key = (zone.key, answer_format)
        with self._lock:
            table = self._tables.setdefault(key, _Table())
            self._tables.move_to_end(key)
            if len(self._tables) > MAXIMUM_TABLES:
                self._tables.popitem(last=False)
        return table


def _forget(known: dict[int, bytes], existing: set[int]) -> None:
    for job_id in known.keys() - existing:
        del known[job_id]
