# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sources of a backup: where they really lie, whether they are there and can be read.

A link above a source is followed only if root owns the link and all directories above it, or the user this
process runs as: whoever else may change one of them would choose what is saved under the path.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from papi_backup.engine.backup.directories import pinned
from papi_backup.engine.backup.mounts import Mounts
from papi_backup.engine.beneath import open_beneath
from papi_backup.engine.format.entries import walk_key
from papi_backup.host_paths import whose
from papi_backup.model.errors import InvalidParameterError

_MOST_LINKS = 40
"""As many as the kernel follows."""
_ABOVE = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC


class UnfitSourceError(Exception):
    """A path that is there and cannot be a source; the message tells why, and what to do."""


class ForeignLinkError(UnfitSourceError):
    """A path leads over a link that others may change; the message tells which, and whose."""


class KernelSourceError(UnfitSourceError):
    """A path lies in one of the kernel's own file systems."""


def normalise_sources(paths: Sequence[bytes]) -> tuple[bytes, ...]:
    """Return source paths relative to ``/``, sorted, without those inside others.

    Symbolic links above a source are resolved, so that every ancestor in the list is a directory.
    Raises InvalidParameterError, naming them, for relative paths, for paths that do not exist, for those that
    lead over a link of another user, and for those below the mount points of the kernel's own file systems.
    """
    cleaned = set()
    missing = []
    unfit = []
    mounts = Mounts.read()
    for path in paths:
        if not path.startswith(b"/"):
            raise InvalidParameterError(f"The path {os.fsdecode(path)!r} is not absolute.", "paths")
        try:
            source = resolved(path)
            _refuse_kernels_own(path, source, mounts)
            cleaned.add(source)
        except UnfitSourceError as error:
            unfit.append(str(error))
        except OSError:
            missing.append(repr(os.fsdecode(path)))
    if missing:
        raise InvalidParameterError(f"Nothing to back up: {', '.join(missing)} does not exist.", "paths")
    if unfit:
        raise InvalidParameterError(" ".join(unfit), "paths")
    if not cleaned:
        raise InvalidParameterError("The backup names no paths.", "paths")
    kept: list[bytes] = []
    for path in sorted(cleaned, key=walk_key):
        if not kept or not (kept[-1] == b"" or path.startswith(kept[-1] + b"/")):
            kept.append(path)
    return tuple(kept)


def _refuse_kernels_own(path: bytes, source: bytes, mounts: Mounts) -> None:
    kind = mounts.devices.get(os.lstat(b"/" + source).st_dev)
    if kind is not None and source not in mounts.kernels_own:
        raise KernelSourceError(
            f"The path {os.fsdecode(path)!r} lies in a file system of the kernel itself ({kind}), whose "
            "contents are never backed up: take it out of 'paths'."
        )


def resolved(path: bytes) -> bytes:
    """Return an absolute path relative to ``/`` with the links above it resolved, not itself.

    Raises ForeignLinkError, and OSError for what does not exist.
    """
    parent, name = os.path.split(os.path.normpath(path))
    above = _resolved_directory(path, parent)
    with _opened(above) as directory:
        if name:
            os.stat(name, dir_fd=directory, follow_symlinks=False)
    return b"/".join([*above, name] if name else above)


def _resolved_directory(path: bytes, directory: bytes) -> list[bytes]:
    done: list[bytes] = []
    owners: list[int] = []
    pending = _components(directory)[::-1]
    links = 0
    while pending:
        name = pending.pop()
        if name == b"..":
            del done[-1:], owners[-1:]
            continue
        with _opened(done) as above, pinned(above, name) as pin:
            status = os.fstat(pin)
            if not stat.S_ISLNK(status.st_mode):
                done.append(name)
                owners.append(status.st_uid)
                continue
            _check_owners(path, [*done, name], [*owners, status.st_uid])
            target = os.readlink(b"", dir_fd=pin)
        links += 1
        if links > _MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        if target.startswith(b"/"):
            done, owners = [], []
        pending += _components(target)[::-1]
    return done


def _components(path: bytes) -> list[bytes]:
    return [name for name in path.split(b"/") if name not in (b"", b".")]


@contextmanager
def _opened(components: Sequence[bytes]) -> Iterator[int]:
    """Yield a descriptor (O_PATH) of a directory; none of its components may be a link by now."""
    root = os.open(b"/", _ABOVE)
    try:
        descriptor = open_beneath(root, b"/".join(components), _ABOVE)
    finally:
        os.close(root)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _check_owners(path: bytes, way: Sequence[bytes], owners: Sequence[int]) -> None:
    """Raise ForeignLinkError unless a link, and all directories above it, are of who may decide on paths.

    ``way`` are the components of the link's path, the link last, and ``owners`` whose each of them is.
    """
    foreign = next((at for at, uid in enumerate(owners) if uid not in (0, os.geteuid())), None)
    if foreign is None:
        return
    link, place = (repr(os.fsdecode(b"/" + b"/".join(names))) for names in (way, way[: foreign + 1]))
    if foreign == len(way) - 1:
        belongs = f"{link}, which belongs to {whose(owners[foreign])}"
    else:
        belongs = f"{link}, which lies in {place}, which belongs to {whose(owners[foreign])}"
    raise ForeignLinkError(
        f"The path {os.fsdecode(path)!r} leads over the symbolic link {belongs}: whoever may change it would "
        "choose what is saved. Name the directory behind the link instead, or let root own the link and the "
        "directories that it lies in."
    )


def check_sources(backup_name: str, paths: Sequence[str]) -> str:
    """Look into each source, not below it, and return a word on what was found.

    Raises :class:`InvalidParameterError` (``paths``), naming all that are missing or cannot be read.
    """
    failures = [(path, _failure(os.fsencode(path))) for path in paths]
    missing = [repr(path) for path, why in failures if why == ""]
    unreadable = [f"{path!r} ({why})" for path, why in failures if why]
    if missing:
        text = f"Backup {backup_name!r}: its 'paths' do not all exist: {', '.join(missing)}."
        raise InvalidParameterError(text, "paths")
    if unreadable:
        text = f"Backup {backup_name!r}: its 'paths' cannot all be read: {', '.join(unreadable)}."
        raise InvalidParameterError(text, "paths")
    return f"{len(paths)} can be read"


def _failure(path: bytes) -> str | None:
    """Return why a source cannot be read, "" for one that is not there, None for one that can."""
    try:
        source = resolved(path)
        _refuse_kernels_own(path, source, Mounts.read())
        _look(source)
    except UnfitSourceError as error:
        return str(error).rstrip(".")
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        return error.strerror or str(error)
    return None


def _look(source: bytes) -> None:
    """Read the beginning of a file or directory; what else there is has no content to read."""
    parent, _slash, name = source.rpartition(b"/")
    with _opened(_components(parent)) as directory:
        place = name or b"."
        kind = stat.S_IFMT(os.stat(place, dir_fd=directory, follow_symlinks=False).st_mode)
        readers: dict[int, Callable[[bytes, int], None]] = {
            stat.S_IFDIR: _read_directory,
            stat.S_IFREG: _read_file,
        }
        if kind in readers:
            readers[kind](place, directory)


def _read_directory(name: bytes, above: int) -> None:
    descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
    try:
        with os.scandir(descriptor) as entries:
            next(entries, None)
    finally:
        os.close(descriptor)


def _read_file(name: bytes, above: int) -> None:
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=above)
    try:
        os.read(descriptor, 1)
    finally:
        os.close(descriptor)
