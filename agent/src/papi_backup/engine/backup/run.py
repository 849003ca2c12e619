# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One backup from the order to the manifest."""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from papi_backup import __version__
from papi_backup.engine.backup.cache import IndexCache
from papi_backup.engine.backup.commit import check_own_volumes, write_manifest
from papi_backup.engine.backup.emptied import empty_among, refuse_emptied
from papi_backup.engine.backup.filelist import FileListWriter
from papi_backup.engine.backup.helpers import HelperPool
from papi_backup.engine.backup.leftovers import Leftovers, count_leftovers
from papi_backup.engine.backup.own_storage import OwnStorage
from papi_backup.engine.backup.parent import Choice, Earlier, choose_parent
from papi_backup.engine.backup.previous import PreviousList, list_damage
from papi_backup.engine.backup.result import result_of
from papi_backup.engine.backup.select import Selection, skipped_paths
from papi_backup.engine.backup.setup import WriterSetup, chunker_for
from papi_backup.engine.backup.sources import normalise_sources
from papi_backup.engine.backup.tree import IndexWriter
from papi_backup.engine.backup.volumes import VolumeWriter
from papi_backup.engine.backup.walk import Walker, Warn
from papi_backup.engine.backup.walk_ahead import Walk, WalkAhead
from papi_backup.engine.backup.warnings import Warnings
from papi_backup.engine.catalog import list_manifests
from papi_backup.engine.crypto import KEY_SIZE, ChainKeys, wrap_chain_key
from papi_backup.engine.format import FormatError
from papi_backup.engine.format.header import (
    SUITE_ENCRYPTED,
    SUITE_RAW,
    ChainHeader,
    ClearSlot,
    Slot,
    build_header,
)
from papi_backup.engine.format.manifest import INLINE_VOLUMES, Manifest, Parent, Totals
from papi_backup.engine.format.names import INDEX, volume_name
from papi_backup.engine.format.pages import Volume, encode_volumes_page
from papi_backup.engine.format.references import PageRef
from papi_backup.engine.opened import OpenedBackup, segment_context
from papi_backup.engine.patterns import Excludes
from papi_backup.engine.storage.protocol import Storage, StorageOpener
from papi_backup.engine.termination import refuse_termination, termination_deferred
from papi_backup.model.catalog import CatalogEntry
from papi_backup.model.errors import CorruptedBackupError, PapiError, TransferError
from papi_backup.model.job import BackupOrder, JobResult, Progress
from papi_backup.model.keys import is_blank, remark_on

_LONGEST_IDLE = 24 * 3600.0
_ID_BYTES = 8
_WALKING_AHEAD = 2
"""Helpers from which on there is a processor for a process that walks ahead."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything decided before the first byte is read."""

    choice: Choice
    header: ChainHeader
    setup: WriterSetup
    date: datetime
    previous: PreviousList | None
    leftovers: Leftovers


def run_backup(
    order: BackupOrder,
    opener: StorageOpener,
    report: Callable[[Progress], None],
    now: Callable[[], datetime],
    *,
    inline_volumes: int = INLINE_VOLUMES,
) -> JobResult:
    """Run one full or incremental backup (docs/architecture.md, "A backup, step by step").

    Raises InvalidParameterError when sources do not exist, and what the storage raises; a backup
    exists only if this returns.  Forks its helpers first: call it before any thread is started.
    From the manifest on SIGTERM is ignored, so that whoever called can say that the backup exists.

    When the previous list turns out to be damaged, all begins again as a full backup.
    """
    sources = normalise_sources([os.fsencode(path) for path in order.sources.paths])
    excludes = Excludes(os.fsencode(pattern) for pattern in order.sources.excludes)
    skipped = skipped_paths(order.state_dir, order.cache_dir)
    storage_here = OwnStorage.of(order)

    def walk(warn: Warn) -> Walker:
        return Walker(sources, excludes, skipped, warn, storage_here)

    damage = ""
    while True:
        started = time.time_ns()
        pool = HelperPool(order.helpers, opener)
        ahead: WalkAhead | None = None
        storage: Storage | None = None
        try:
            if order.backup_type == "inc" and order.helpers >= _WALKING_AHEAD:
                ahead = WalkAhead(walk, pool.pipes)
            storage = opener()
            run = _Run(
                order, pool, storage, report, now, walker=walk, damage=damage, inline_volumes=inline_volumes
            )
            return run.run(sources, ahead.batches if ahead else walk, started)
        except (CorruptedBackupError, FormatError) as error:
            if damage or order.backup_type == "full":
                raise
            found = list_damage(error) if isinstance(error, FormatError) else error
            damage = found.message
        finally:
            if ahead is not None:
                ahead.close()
            pool.close()
            if storage is not None:
                storage.close()


class _Run:
    """The steps of one backup over an open storage."""

    def __init__(
        self,
        order: BackupOrder,
        pool: HelperPool,
        storage: Storage,
        report: Callable[[Progress], None],
        now: Callable[[], datetime],
        *,
        walker: Callable[[Warn], Walker],
        damage: str,
        inline_volumes: int,
    ) -> None:
        """``walker`` makes what looks at single names once more."""
        self._order = order
        self._walker = walker
        self._damage = damage
        self._inline_volumes = inline_volumes
        self._pool = pool
        self._storage = storage
        self._report = report
        self._told = Progress()
        self._now = now
        self._warnings = Warnings()
        location = order.access.storage.location
        self._cache = IndexCache(order.cache_dir, location, order.host_name, order.backup_name)

    def run(self, sources: tuple[bytes, ...], walk: Walk, started: int) -> JobResult:
        """Plan, write volumes, commit; ``started``: nanoseconds, no later than the walk began."""
        plan = self._plan(sources)
        for warning in plan.choice.warnings:
            self._warnings.note(warning)
        if is_blank(self._order.encryption_key):
            self._warnings.note(remark_on(self._order.encryption_key))
        volumes = VolumeWriter(self._storage, plan.setup, INDEX, _counter(), copy=self._cache.store)
        index = IndexWriter(plan.setup, volumes)
        try:
            manifest = self._write(plan, index, sources, walk, started)
            # Whoever cancels now gets a backup: with its manifest it is one, whatever is said of the job.
            refuse_termination()
            self._tell(replace(self._told, committing=True))
        except BaseException:
            with termination_deferred():
                volumes.abort()
                self._drop_leftovers(plan)
            raise
        entry = write_manifest(self._storage, plan.setup, plan.header, manifest, _entry(self._order, plan))
        names = [
            volume_name(plan.setup.prefix, v.backup, v.kind, v.number)
            for v in manifest.volumes
            if v.kind == INDEX
        ]
        self._cache.keep_only(names)
        return self._result(plan, manifest, entry)

    def _tell(self, progress: Progress) -> None:
        self._told = progress
        self._report(progress)

    def _plan(self, sources: tuple[bytes, ...]) -> Plan:
        order = self._order
        now = self._now()
        manifests = list_manifests(self._storage, order.host_name, order.backup_name)
        earlier = Earlier(self._storage, order, manifests)
        choice = choose_parent(self._storage, order, earlier, now, self._cache, damage=self._damage)
        self._refuse_emptied(sources, choice, earlier)
        listed = choice.parent.listed if choice.parent else None
        leftovers = count_leftovers(self._storage, order, manifests, listed, now)
        date = earlier.next_date(now)
        backup = order.backup or secrets.token_hex(_ID_BYTES)
        if choice.parent is None:
            header, keys = _new_chain(order)
        else:
            header, keys = choice.parent.opened.header, choice.parent.opened.keys
        context = segment_context(header, order.host_name, order.backup_name, backup)
        setup = WriterSetup(
            keys, context, header.chunker, order.host_name, order.backup_name, header.file_size
        )
        previous = PreviousList(self._storage, choice.parent.opened, self._cache) if choice.parent else None
        return Plan(choice, header, setup, date, previous, leftovers)

    def _refuse_emptied(self, sources: tuple[bytes, ...], choice: Choice, earlier: Earlier) -> None:
        """Compare with the parent, or with what would be one if the next backup were no full one."""
        empty = empty_among(sources)
        if not empty:
            return
        before: object = choice.parent.opened if choice.parent else None
        if before is None:
            newest, _passed_over = earlier.newest(earlier.own)
            before = earlier.attempt(newest) if newest is not None else None
        if isinstance(before, OpenedBackup):
            refuse_emptied(empty, self._storage, before, self._cache)

    def _write(
        self, plan: Plan, index: IndexWriter, sources: tuple[bytes, ...], walk: Walk, started: int
    ) -> Manifest:
        looked = plan.previous.find_sparse_segments() if plan.previous else False
        self._pool.start(plan.setup)
        files = FileListWriter(index, plan.previous, self._warnings.of_path)
        again = self._walker(self._warnings.of_path).again
        selection = Selection(self._pool, files, plan.previous, self._warnings, self._tell, again=again)
        selection.run(walk(self._warnings.of_path))
        data = self._pool.finish(selection.receive)
        root = files.finish()
        known = _known_volumes(plan, files)
        table, pages = _volume_table([*known, *data], index, self._inline_volumes)
        own = index.finish()
        if selection.longest_idle > _LONGEST_IDLE:
            raise TransferError("Nothing was written for more than 24 hours; the backup was given up.")
        check_own_volumes(self._storage, plan.setup, [*data, *own])
        before = plan.choice.parent.opened.manifest if plan.choice.parent else None
        dead = (
            selection.dead_bytes
            + files.dead_bytes
            + (before.totals.dead_bytes if before and not looked else 0)
        )
        return Manifest(
            host_name=self._order.host_name,
            backup_name=self._order.backup_name,
            backup_type="inc" if before else "full",
            date=plan.date.strftime("%Y-%m-%dT%H:%M:%SZ"),
            chain=plan.header.chain,
            backup=plan.setup.backup,
            instance=self._order.instance_id,
            sequence=before.sequence + 1 if before else 0,
            scan_started_ns=started,
            paths=sources,
            excludes=tuple(os.fsencode(pattern) for pattern in self._order.sources.excludes),
            root=root,
            volumes=tuple(sorted([*table, *own])),
            volume_pages=pages,
            parent=Parent(plan.choice.parent.opened.entry.backup, plan.choice.parent.opened.tag)
            if plan.choice.parent
            else None,
            totals=Totals(
                entries=files.counts.entries,
                files=files.counts.files,
                bytes=files.counts.bytes,
                bytes_read=selection.bytes_read,
                bytes_stored=sum(volume.size for volume in [*data, *own]),
                warnings=self._warnings.count,
                dead_bytes=dead,
            ),
            agent_version=__version__,
        )

    def _drop_leftovers(self, plan: Plan) -> None:
        """Delete what a failed backup wrote; without a manifest it is no backup, so failing to is no loss."""
        self._pool.close()
        with contextlib.suppress(PapiError):
            names = [found.name for found in self._storage.list(f"{plan.setup.prefix}{plan.setup.backup}/")]
            self._storage.delete(names)

    def _result(self, plan: Plan, manifest: Manifest, entry: CatalogEntry) -> JobResult:
        because = f" Full because {plan.choice.reason}." if plan.choice.reason else ""
        return result_of(
            manifest,
            entry,
            plan.setup.keys,
            self._order.encryption_key,
            told=because + plan.leftovers.told() + self._warnings.summary(),
            warnings=tuple(self._warnings.kept),
        )


def _counter() -> Callable[[], int]:
    return itertools.count().__next__


def _new_chain(order: BackupOrder) -> tuple[ChainHeader, ChainKeys]:
    chain, chain_key = secrets.token_hex(_ID_BYTES), secrets.token_bytes(KEY_SIZE)
    file_size = order.access.storage.volume_size
    slot: Slot = ClearSlot(chain_key)
    suite = SUITE_RAW
    if order.encryption_key:
        slot = wrap_chain_key(chain_key, order.encryption_key, secrets.token_bytes(16), order.scrypt_cost)
        suite = SUITE_ENCRYPTED
    header = build_header(suite, chain, file_size, chunker_for(file_size), (slot,))
    return header, ChainKeys.derive(chain_key, chain, encrypted=header.encrypted)


def _entry(order: BackupOrder, plan: Plan) -> CatalogEntry:
    return CatalogEntry(
        host_name=order.host_name,
        backup_name=order.backup_name,
        date=plan.date,
        backup_type="inc" if plan.choice.parent else "full",
        encrypted=plan.header.encrypted,
        chain=plan.header.chain,
        backup=plan.setup.backup,
        instance=order.instance_id,
        manifest_size=0,
        path="",
    )


def _known_volumes(plan: Plan, files: FileListWriter) -> list[Volume]:
    """Return the volumes of earlier backups that the new list needs."""
    if plan.choice.parent is None:
        return []
    sizes = plan.choice.parent.volumes
    return [Volume(*key, size) for key, size in sizes.items() if files.needs(key)]


def _volume_table(
    volumes: list[Volume], index: IndexWriter, inline: int
) -> tuple[list[Volume], tuple[PageRef, ...]]:
    """Return what stands in the manifest itself, and the pages that hold the rest of a long table."""
    if len(volumes) <= inline:
        return volumes, ()
    ordered = sorted(volumes)
    groups = [ordered[start : start + inline] for start in range(0, len(ordered), inline)]
    pages = [index.add(encode_volumes_page(group)) for group in groups]
    index.flush()
    return [], tuple(map(index.resolve, pages))
