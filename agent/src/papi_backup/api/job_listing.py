# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The listing of jobs, quick with a long history: what has ended is encoded once, or when corrected.

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
from papi_backup.state.jobs import JobExtent

MAXIMUM_TABLES = 3
"""Of zones and formats; clients of an agent mostly share one."""

MAXIMUM_JOBS = 20_000
"""A table of so many takes some ten megabytes; the jobs beyond are encoded for each call."""

JobView = Callable[[Job], Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class _Listed:
    """The whole list as it was; ``live`` are the places in it of jobs that may have changed since."""

    extent: JobExtent
    items: list[bytes]
    live: dict[int, int]


@dataclass(slots=True)
class _Table:
    """Encoded jobs by their ids, of one zone and format."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    encoded: dict[int, bytes] = field(default_factory=dict)
    corrections: int = 0
    listed: _Listed | None = None


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

        def encoded(job: Job) -> bytes:
            return encode_item(view(job), answer_format)

        # Whoever comes second to an empty table waits for the first instead of doing the same.
        with table.lock:
            extent = jobs.extent()
            if table.listed is not None and table.listed.extent == extent:
                return _brought_up_to_date(table.listed, jobs, encoded)
            return _list_all(table, extent, jobs, encoded)

    def _table(self, zone: ZoneInfo, answer_format: str) -> _Table:
        key = (zone.key, answer_format)
        with self._lock:
            table = self._tables.setdefault(key, _Table())
            self._tables.move_to_end(key)
            if len(self._tables) > MAXIMUM_TABLES:
                self._tables.popitem(last=False)
        return table


def _brought_up_to_date(listed: _Listed, jobs: JobService, encoded: Callable[[Job], bytes]) -> list[bytes]:
    items = listed.items.copy()
    for job in jobs.some(listed.live) if listed.live else ():
        items[listed.live[job.job_id]] = encoded(job)
    return items


def _list_all(
    table: _Table, extent: JobExtent, jobs: JobService, encoded: Callable[[Job], bytes]
) -> list[bytes]:
    endings, known = jobs.endings(), table.encoded
    if table.corrections != extent.corrections:
        known.clear()
        table.corrections = extent.corrections
    changing = [job_id for job_id, ended in endings if not ended or job_id not in known]
    # Without stale ones, and below the bound, these are as many as there are jobs.
    if len(known) + len(changing) > min(len(endings), MAXIMUM_JOBS):
        _forget(known, {job_id for job_id, unused in endings})
    fresh: dict[int, bytes] = {}
    for job in jobs.some(changing):
        fresh[job.job_id] = encoded(job)
        if job.job_status not in ("waiting", "running") and len(known) < MAXIMUM_JOBS:
            known[job.job_id] = fresh[job.job_id]
    items: list[bytes] = []
    live: dict[int, int] = {}
    for job_id, ended in endings:
        item = fresh.get(job_id) or known.get(job_id)
        if item is None:
            continue  # it was removed from the history meanwhile
        if not ended:
            live[job_id] = len(items)
        items.append(item)
    # A longer list is not kept: it would be all that the bound keeps out.
    table.listed = _Listed(extent, items.copy(), live) if len(endings) <= MAXIMUM_JOBS else None
    return items


def _forget(known: dict[int, bytes], existing: set[int]) -> None:
    for job_id in known.keys() - existing:
        del known[job_id]
