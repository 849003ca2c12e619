# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests a storage by doing, once, everything that backups will do (docs/api.md, "test_storage").

reach, login, write, rename (SSH), read back, create-only, list, clock, delete, room.  Others may
put steps of their own before and after these.  The answer comes within the deadline even from a
server that swallows packets: the steps run in a thread, and the caller does not wait longer than told.
"""

from __future__ import annotations

import contextlib
import queue
import secrets
import threading
import time
from collections.abc import Callable, Sequence

from papi_backup.engine.storage.connecting import Connectable, TransientError
from papi_backup.engine.storage.opener import hasty
from papi_backup.engine.storage.protocol import ObjectExistsError, ObjectMissingError, Storage
from papi_backup.model.check import CheckedStep, StorageCheck
from papi_backup.model.errors import (
    InvalidStorageError,
    PapiError,
    StorageCredentialsError,
    TransferError,
    from_code,
)
from papi_backup.model.storage import StorageAccess

DEADLINE_SECONDS = 4.0
_CLOCK_WORTH_TELLING = 60.0
_PLACE = "check"
_SIZE = 4096
LEAST_ROOM = 1 << 20
"""Bytes that any backup needs: its smallest objects and their directories."""

Step = tuple[str, Callable[[Storage], str]]
"""A name, and what is tried, which returns a detail to tell or raises :class:`PapiError`."""


def check_storage(
    access: StorageAccess,
    deadline_seconds: float = DEADLINE_SECONDS,
    *,
    before: Sequence[Step] = (),
    after: Sequence[Step] = (),
    room: int = LEAST_ROOM,
) -> StorageCheck:
    """Return the steps that passed and, for SSH, the host key the server showed.

    ``before`` and ``after`` are steps of the caller around those of the storage; ``room`` is what must be
    free, in bytes.  Raises :class:`StorageCredentialsError` (4000), :class:`InvalidStorageError` (4001) or
    :class:`TransferError` (4005), or what a step of the caller raises; the message begins with the step that
    failed.
    """
    begun = time.monotonic()
    storage = hasty(access, deadline_seconds)  # may import a library, which takes its time
    rest = deadline_seconds - (time.monotonic() - begun)
    return run_check(storage, rest, before=before, after=after, room=room)


def run_check(
    storage: Connectable,
    deadline_seconds: float,
    *,
    before: Sequence[Step] = (),
    after: Sequence[Step] = (),
    room: int = LEAST_ROOM,
) -> StorageCheck:
    """Check ``storage`` in a thread, and close it; see :func:`check_storage`."""
    check = _Check(storage, before, after, room)
    answers: queue.Queue[tuple[StorageCheck | PapiError | None, float]] = queue.Queue()
    end = time.monotonic() + max(0.0, deadline_seconds)
    silence = f"no answer within {deadline_seconds:.2g} s"

    def run() -> None:
        answer: StorageCheck | PapiError | None = None  # None: a programming error, on standard error
        try:
            answer = check.run()
        except PapiError as error:
            answer = from_code(error.code, f"{check.step}: {error.message}")
        finally:
            answers.put((answer, time.monotonic()))
            storage.close()

    threading.Thread(target=run, name="storage check", daemon=True).start()
    try:
        answer, answered = answers.get(timeout=max(0.0, end - time.monotonic()))
    except queue.Empty:
        storage.close()  # wakes the thread, which nobody waits for
        raise InvalidStorageError(f"{check.step}: {silence}") from None
    if isinstance(answer, StorageCheck):
        return answer
    if answer is not None and answered >= end:
        # What gives up at the same moment says so in words of its own: it was silence all the same.
        raise InvalidStorageError(f"{check.step}: {silence}")
    raise answer or RuntimeError(f"the storage check failed at step {check.step!r}")


class _Check:
    """The steps, each with its time."""

    def __init__(
        self, storage: Connectable, before: Sequence[Step], after: Sequence[Step], room: int
    ) -> None:
        self._storage = storage
        self._before = before
        self._after = after
        self._needed = room
        self._name = f"{_PLACE}/{secrets.token_hex(8)}/object"
        self._data = secrets.token_bytes(_SIZE)
        self._passed: list[CheckedStep] = []
        self._begun = 0.0
        self._detail = ""
        self.step = ""

    def run(self) -> StorageCheck:
        """Do all steps; what was written is removed even if a later step fails."""
        for name, step in self._before:
            self._enter(name)
            self._detail = step(self._storage)
        self._enter("reach")
        self._storage.open(self._enter_within)
        try:
            for name, step in (*self._own_steps(), *self._after):
                self._enter(name)
                self._detail = step(self._storage)
        except PapiError:
            with contextlib.suppress(PapiError):
                self._storage.delete([self._name])
            raise
        self._leave()
        return StorageCheck(tuple(self._passed), self._storage.host_key)

    def _own_steps(self) -> Sequence[Step]:
        return (
            ("write", self._write),
            ("read back", self._read_back),
            ("create-only", self._create_again),
            ("list", self._list),
            ("clock", self._clock),
            ("delete", self._delete),
            ("room", self._room),
        )

    def _enter_within(self, step: str) -> None:
        """Take in a step that the storage tells of; its renames count within the step "write" alone."""
        if step != "rename" or self.step == "write":
            self._enter(step)

    def _enter(self, step: str) -> None:
        """Note that the step so far has passed and ``step`` begins."""
        self._leave()
        self.step = step
        self._begun = time.monotonic()
        self._detail = ""

    def _leave(self) -> None:
        if self.step:
            self._passed.append(CheckedStep(self.step, time.monotonic() - self._begun, self._detail))

    def _write(self, storage: Storage) -> str:
        writer = storage.create(self._name, _SIZE)
        try:
            writer.write(self._data)
            writer.commit()
        finally:
            writer.abort()
        return f"{_SIZE} bytes"

    def _read_back(self, storage: Storage) -> str:
        try:
            same = storage.get(self._name) == self._data
        except ObjectMissingError as error:
            raise InvalidStorageError("what was written is not there") from error
        if not same:
            raise TransferError("other bytes came back than were written")
        return ""

    def _create_again(self, storage: Storage) -> str:
        """An object that exists must be refused: else two writers could overwrite one another."""
        writer = storage.create(self._name, _SIZE)
        try:
            writer.write(self._data)
            writer.commit()
        except ObjectExistsError:
            return "an existing object is not overwritten"
        finally:
            writer.abort()
        raise InvalidStorageError("the storage overwrites objects that exist, which could lose backups")

    def _list(self, storage: Storage) -> str:
        place = f"{self._name.rpartition('/')[0]}/"
        listed = [(found.name, found.size) for found in storage.list(place)]
        if listed != [(self._name, _SIZE)]:
            raise InvalidStorageError("what was written does not appear in the list")
        return ""

    def _clock(self, storage: Storage) -> str:
        """Compare the clocks; a difference is told, not refused."""
        ahead = storage.stat(self._name).modified - time.time()
        if abs(ahead) < _CLOCK_WORTH_TELLING:
            return "the clocks agree"
        return (
            f"the storage's clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} this host's"
        )

    def _delete(self, storage: Storage) -> str:
        """Delete what was written; a storage that keeps everything is a guard, and told."""
        try:
            storage.delete([self._name])
        except TransientError:
            raise
        except (InvalidStorageError, StorageCredentialsError, TransferError) as error:
            with contextlib.suppress(ObjectMissingError):
                storage.stat(self._name)
                return f"may not delete, so what a failed backup leaves stays there: {error.message}"
            raise
        try:
            storage.stat(self._name)
        except ObjectMissingError:
            return ""
        raise InvalidStorageError("what was deleted is still there")

    def _room(self, storage: Storage) -> str:
        del storage  # which need not be one that is asked for its room
        there = self._storage.room()
        if there is None:
            return "the storage cannot be asked"
        if there < self._needed:
            raise InvalidStorageError(
                f"{there >> 20} MiB are free, and a backup needs about {-(-self._needed >> 20)} MiB"
            )
        return f"{there >> 20} MiB are free"
