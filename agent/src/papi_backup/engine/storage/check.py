# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests a storage by doing, once, everything that backups will do (spec: test_storage).

reach, login, write, read back, create-only, list, clock, delete.  The answer comes within the
deadline even from a server that swallows packets: the steps run in a thread, and the caller does
not wait longer than told.
"""

from __future__ import annotations

import contextlib
import queue
import secrets
import threading
import time

from papi_backup.engine.storage.connecting import Connectable
from papi_backup.engine.storage.opener import hasty
from papi_backup.engine.storage.protocol import ObjectExistsError, ObjectMissingError
from papi_backup.model.check import CheckedStep, StorageCheck
from papi_backup.model.errors import InvalidStorageError, PapiError, TransferError, from_code
from papi_backup.model.storage import StorageAccess

DEADLINE_SECONDS = 4.0
_CLOCK_WORTH_TELLING = 60.0
_PLACE = "check"
_SIZE = 4096


def check_storage(access: StorageAccess, deadline_seconds: float = DEADLINE_SECONDS) -> StorageCheck:
    """Return the steps that passed and, for SSH, the host key the server showed.

    Raises :class:`StorageCredentialsError` (4000), :class:`InvalidStorageError` (4001) or
    :class:`TransferError` (4005); the message begins with the step that failed.
    """
    return run_check(hasty(access, deadline_seconds), deadline_seconds)


def run_check(storage: Connectable, deadline_seconds: float) -> StorageCheck:
    """Check ``storage`` in a thread, and close it; see :func:`check_storage`."""
    check = _Check(storage)
    answers: queue.Queue[StorageCheck | PapiError | None] = queue.Queue()

    def run() -> None:
        answer: StorageCheck | PapiError | None = None  # None: a programming error, on standard error
        try:
            answer = check.run()
        except PapiError as error:
            answer = from_code(error.code, f"{check.step}: {error.message}")
        finally:
            answers.put(answer)
            storage.close()

    threading.Thread(target=run, name="storage check", daemon=True).start()
    try:
        answer = answers.get(timeout=deadline_seconds)
    except queue.Empty:
        storage.close()  # wakes the thread, which nobody waits for
        raise InvalidStorageError(f"{check.step}: no answer within {deadline_seconds:g} s") from None
    if isinstance(answer, StorageCheck):
        return answer
    raise answer or RuntimeError(f"the storage check failed at step {check.step!r}")


class _Check:
    """The steps, each with its time."""

    def __init__(self, storage: Connectable) -> None:
        self._storage = storage
        self._name = f"{_PLACE}/{secrets.token_hex(8)}/object"
        self._data = secrets.token_bytes(_SIZE)
        self._passed: list[CheckedStep] = []
        self._begun = 0.0
        self._detail = ""
        self.step = ""

    def run(self) -> StorageCheck:
        """Do all steps; what was written is removed even if a later step fails."""
        self._enter("reach")
        self._storage.open(self._enter)
        try:
            for name, step in (
                ("write", self._write),
                ("read back", self._read_back),
                ("create-only", self._create_again),
                ("list", self._list),
                ("clock", self._clock),
                ("delete", self._delete),
            ):
                self._enter(name)
                self._detail = step()
        except PapiError:
            with contextlib.suppress(PapiError):
                self._storage.delete([self._name])
            raise
        self._leave()
        return StorageCheck(tuple(self._passed), self._storage.host_key)

    def _enter(self, step: str) -> None:
        """Note that the step so far has passed and ``step`` begins."""
        self._leave()
        self.step = step
        self._begun = time.monotonic()
        self._detail = ""

    def _leave(self) -> None:
        if self.step:
            self._passed.append(CheckedStep(self.step, time.monotonic() - self._begun, self._detail))

    def _write(self) -> str:
        writer = self._storage.create(self._name, _SIZE)
        try:
            writer.write(self._data)
            writer.commit()
        finally:
            writer.abort()
        return f"{_SIZE} bytes"

    def _read_back(self) -> str:
        try:
            same = self._storage.get(self._name) == self._data
        except ObjectMissingError as error:
            raise InvalidStorageError("what was written is not there") from error
        if not same:
            raise TransferError("other bytes came back than were written")
        return ""

    def _create_again(self) -> str:
        """An object that exists must be refused: else two writers could overwrite one another."""
        writer = self._storage.create(self._name, _SIZE)
        try:
            writer.write(self._data)
            writer.commit()
        except ObjectExistsError:
            return "an existing object is not overwritten"
        finally:
            writer.abort()
        raise InvalidStorageError("the storage overwrites objects that exist, which could lose backups")

    def _list(self) -> str:
        listed = [
            (found.name, found.size) for found in self._storage.list(f"{self._name.rpartition('/')[0]}/")
        ]
        if listed != [(self._name, _SIZE)]:
            raise InvalidStorageError("what was written does not appear in the list")
        return ""

    def _clock(self) -> str:
        """Compare the clocks; a difference is told, not refused."""
        ahead = self._storage.stat(self._name).modified - time.time()
        if abs(ahead) < _CLOCK_WORTH_TELLING:
            return "the clocks agree"
        return (
            f"the storage's clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} this host's"
        )

    def _delete(self) -> str:
        self._storage.delete([self._name])
        try:
            self._storage.stat(self._name)
        except ObjectMissingError:
            return ""
        raise InvalidStorageError("what was deleted is still there")
