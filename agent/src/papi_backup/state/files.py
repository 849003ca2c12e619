# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state directory: who may read it, how its files come into being, who else is using it."""

from __future__ import annotations

import fcntl
import logging
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from papi_backup.host_paths import UnsafePathError, make_guarded
from papi_backup.state.database import StateError
from papi_backup.state.room import words_of

DATABASE = "state.db"
KEY_FILE = "state.key"
NEW_STATE = "new-state"
CREDENTIAL = "papi-backup-state-key"
_KEY_BYTES = 32
_OTHERS = stat.S_IRWXG | stat.S_IRWXO

log = logging.getLogger(__name__)


def prepare_directory(directory: Path) -> None:
    """Make ``directory`` (0700), or check that nobody else may write in it or exchange it for another.

    Raises :class:`StateError` when it cannot be made or others may.
    """
    try:
        make_guarded(directory, 0o700, may_be_open=True)
        mode = stat.S_IMODE(directory.stat().st_mode)
        if mode & _OTHERS and not any(directory.iterdir()):
            directory.chmod(0o700)
            return
    except UnsafePathError as error:
        raise StateError(f"the state directory {directory}: {error}") from error
    except OSError as error:
        raise StateError(words_of(f"the state directory {directory}", error)) from error
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise StateError(f"others may write in the state directory {directory}: chmod 700 {directory}")
    if mode & _OTHERS:
        # It holds more than ours, so its mode is not ours to change; the files in it are 0600.
        log.warning("others may look into the state directory %s: chmod 700 %s", directory, directory)


def make_private(path: Path) -> None:
    """Take other users' access to ``path`` away, and say so: they may have read it."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & _OTHERS:
            log.warning("%s had mode %04o: set to 0600; other users may have read it", path, mode)
            path.chmod(0o600)
    except OSError as error:
        raise StateError(words_of(path, error)) from error


@contextmanager
def new_private_file(path: Path) -> Iterator[Path]:
    """Give an empty 0600 file to fill; it takes the name ``path``, synced, when the block ends well."""
    draft = path.with_name(path.name + ".new")
    # SQLite would play the journal of a draft that died into the new one.
    leftovers = (draft, draft.with_name(draft.name + "-journal"))
    try:
        for leftover in leftovers:
            leftover.unlink(missing_ok=True)
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        yield draft
        _sync(draft)
        draft.rename(path)
        _sync(path.parent)
    except OSError as error:
        raise StateError(words_of(path, error)) from error
    finally:
        for leftover in leftovers:
            leftover.unlink(missing_ok=True)


def has_key(directory: Path, environment: Mapping[str, str]) -> bool:
    """Return whether a key is there, from an earlier start or from whoever installed the agent."""
    credentials = environment.get("CREDENTIALS_DIRECTORY", "")
    given = bool(credentials) and (Path(credentials) / CREDENTIAL).exists()
    return given or (directory / KEY_FILE).exists()


def take_word_of_new_state(directory: Path) -> bool:
    """Return whether whoever installed the agent says that a new state is right, and take the word away."""
    try:
        (directory / NEW_STATE).unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        log.warning("%s: %s", directory / NEW_STATE, error.strerror)
    return True


def keep_newest_copies(directory: Path, count: int) -> None:
    """Remove the copies of the database from before migrations, but the ``count`` of the newest versions."""
    copies = {
        int(version): path
        for path in directory.glob(f"{DATABASE}.version-*")
        if (version := path.name.rpartition("-")[2]).isdecimal()
    }
    for number in sorted(copies)[:-count]:
        try:
            copies[number].unlink()
        except OSError as error:
            log.warning("%s: %s", copies[number], error.strerror)


def state_key(
    directory: Path,
    environment: Mapping[str, str],
    randomness: Callable[[int], bytes] = os.urandom,
) -> bytes:
    """Return the key that seals secrets: the systemd credential if there is one, else the key file.

    A missing key file is made only where there is no database yet: a new key could not open the old secrets.
    Raises :class:`StateError`.
    """
    credentials = environment.get("CREDENTIALS_DIRECTORY", "")
    if credentials and (Path(credentials) / CREDENTIAL).exists():
        return _read(Path(credentials) / CREDENTIAL)
    path = directory / KEY_FILE
    if not path.exists():
        if (directory / DATABASE).exists():
            raise StateError(
                f"{path} is missing, and only it opens the secrets in {directory / DATABASE}: put it back,"
                f" or move the database away to start with an empty state"
            )
        with new_private_file(path) as draft:
            draft.write_bytes(randomness(_KEY_BYTES))
    make_private(path)
    return _read(path)


@contextmanager
def locked(directory: Path, name: str) -> Iterator[None]:
    """Hold an exclusive lock on ``directory/name``, waiting for whoever has it (another command's start)."""
    descriptor = _open_lock(directory / name)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def try_lock(directory: Path, name: str) -> int | None:
    """Take an exclusive lock without waiting; returns the descriptor to close, or None when it is taken."""
    descriptor = _open_lock(directory / name)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _open_lock(path: Path) -> int:
    try:
        return os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StateError(words_of(path, error)) from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StateError(f"the state key {path}: {error.strerror}") from error


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
