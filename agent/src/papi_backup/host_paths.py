# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths of the host, followed so that nobody but root decides where they lead (docs/hardening.md).

A path is followed once, one component at a time, each opened below the descriptor of the one before.
What is opened stays open: a name that is given to something else afterwards changes nothing.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LINK = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_MOST_LINKS = 40
_ABOVE_MODE = 0o755

Identity = tuple[int, int]
"""Device and inode."""


class UnsafePathError(Exception):
    """Somebody else decides where a path leads.  The text names the place, whose it is and what to do."""


class NothingThereError(Exception):
    """A directory above the last component does not exist."""


@dataclass(frozen=True, slots=True)
class Step:
    """A directory on the way.  ``own``: it and everything above it is root's or this process's user's."""

    path: bytes
    status: os.stat_result
    own: bool

    @property
    def identity(self) -> Identity:
        """What the directory is, by whatever name."""
        return identity_of(self.status)

    @property
    def is_shared(self) -> bool:
        """Whether others than its owner may make something in it; root's group and our own are no others."""
        shared = stat.S_IWOTH
        if self.status.st_gid not in (0, os.getegid()):
            shared |= stat.S_IWGRP
        return bool(self.status.st_mode & shared)


class HeldDirectory:
    """A directory that is held open, or a name that is still free in one.  Call :meth:`close`."""

    def __init__(self, steps: tuple[Step, ...], descriptor: int, free_name: bytes) -> None:
        """Take ``descriptor`` over; it stands for the last of ``steps``."""
        self.steps = steps
        self._descriptor = descriptor
        self._free_name = free_name

    @property
    def path(self) -> bytes:
        """Where the path led when it was followed: absolute, without links."""
        above = self.steps[-1].path
        return os.path.join(above, self._free_name) if self._free_name else above

    @property
    def exists(self) -> bool:
        """Whether the directory is there."""
        return not self._free_name

    @property
    def descriptor(self) -> int:
        """The directory's ``O_PATH`` descriptor; of the one above where it is not there yet."""
        return self._descriptor

    def make(self) -> bool:
        """Make the directory (0700, whatever the umask) if it is not there; return whether it was made.

        Raises :class:`UnsafePathError` for what somebody else has put in its place, and ``OSError``.
        """
        if self.exists:
            return False
        try:
            os.mkdir(self._free_name, 0o700, dir_fd=self._descriptor)
            made = True
        except FileExistsError:
            made = False
        descriptor, step = _enter(self._descriptor, self.steps[-1], self._free_name)
        try:
            if made and step.status.st_uid != os.geteuid():
                raise UnsafePathError(
                    f"{shown(step.path)} was made and at once replaced by a directory of"
                    f" {whose(step.status.st_uid)}: use a directory that nobody else can rename"
                )
            if made:
                os.chmod(by_descriptor(descriptor), 0o700)
        except BaseException:
            os.close(descriptor)
            raise
        os.close(self._descriptor)
        self._descriptor, self._free_name = descriptor, b""
        self.steps = (*self.steps, step)
        return made

    def close(self) -> None:
        """Let go of it."""
        os.close(self._descriptor)


def identity_of(status: os.stat_result) -> Identity:
    """Return what a thing is, by whatever name."""
    return status.st_dev, status.st_ino


def by_descriptor(descriptor: int) -> bytes:
    """Return a path to the very thing a descriptor stands for; system calls may follow it."""
    return b"/proc/self/fd/%d" % descriptor


def hold(path: bytes) -> HeldDirectory:
    """Follow an absolute path to a directory, or to a free name in one.

    A symbolic link is followed where the link and all directories it was found through belong to root or
    to the user of this process.  A directory that lies where others than a directory's owner may make one
    has to be theirs too, unless it lies below a directory of somebody else, within which that owner decides.
    Raises :class:`UnsafePathError`, :class:`NothingThereError`, ``NotADirectoryError`` and other ``OSError``.
    """
    walk = _Walk()
    try:
        free_name = walk.follow(path)
    except BaseException:
        os.close(walk.descriptor)
        raise
    return HeldDirectory(tuple(walk.steps), walk.descriptor, free_name)


@contextlib.contextmanager
def held(path: bytes) -> Iterator[HeldDirectory]:
    """As :func:`hold`; closed at the end of the block."""
    directory = hold(path)
    try:
        yield directory
    finally:
        directory.close()


def open_below(root: int, path: bytes, flags: int) -> int:
    """Open a directory below a descriptor, component by component, following no link; raises ``OSError``."""
    here = os.dup(root)
    try:
        for name in filter(None, path.split(b"/")):
            below = os.open(name, _DIRECTORY, dir_fd=here)
            os.close(here)
            here = below
        return os.open(b".", flags | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=here)
    finally:
        os.close(here)


def require_guarded(path: bytes, *, may_be_open: bool = False) -> None:
    """Refuse a path that somebody but root or the user of this process could lead elsewhere by renaming.

    What is not there yet is left out.  ``may_be_open``: the caller looks itself who may write in it.
    Raises :class:`UnsafePathError` and ``OSError``.
    """
    place = path
    while True:
        try:
            directory = hold(place)
        except NothingThereError:
            place = os.path.dirname(place)
        else:
            break
    whole = place == path and directory.exists
    directory.close()
    last = directory.steps[-1]
    for step in directory.steps[1:]:
        if not step.own:
            raise UnsafePathError(
                f"{shown(step.path)} belongs to {whose(step.status.st_uid)}, who could put something else in"
                f" place of what is in it: use a place whose directories are all root's"
            )
        if may_be_open and whole and step is last:
            continue
        if step.is_shared and not step.status.st_mode & stat.S_ISVTX:
            raise UnsafePathError(
                f"others than root may rename what is in {shown(step.path)}: chmod go-w {shown(step.path)},"
                " or use another place"
            )


def make_guarded(path: Path, mode: int, above: int = _ABOVE_MODE, *, may_be_open: bool = False) -> None:
    """Make a directory with ``mode``, and those missing above it with ``above``, whatever the umask.

    One that is there keeps its mode.  Raises as :func:`require_guarded` does.
    """
    last, missing = path, []
    while not os.path.isdir(path):
        missing.append(path)
        path = path.parent
    require_guarded(os.fsencode(last), may_be_open=may_be_open)
    for directory in reversed(missing):
        wanted = mode if directory is last else above
        try:
            directory.mkdir(mode=wanted)
        except FileExistsError:
            # Where everybody may make a directory, whoever was quicker need not be another process of ours.
            require_guarded(os.fsencode(directory), may_be_open=may_be_open and directory is last)
            if directory.is_dir():
                continue
            raise
        directory.chmod(wanted)


def whose(uid: int) -> str:
    """Return "alice (uid 1000)"."""
    try:
        return f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    except KeyError:
        return f"uid {uid}"


def shown(path: bytes) -> str:
    """Return a path as text that can be printed and stored: what is no text is escaped."""
    text = path.decode("utf-8", "backslashreplace")
    return text if text.isprintable() else text.encode("unicode_escape").decode()


def _is_own(status: os.stat_result) -> bool:
    return status.st_uid in (0, os.geteuid())


def _is_for_whoever_comes_first(step: Step) -> bool:
    """Whether others may make a directory for which the owner of this one does not answer.

    Whoever a user lets into a directory of hers is hers to answer for; everybody is not.
    """
    return step.is_shared and (step.own or bool(step.status.st_mode & stat.S_IWOTH))


def _enter(above: int, before: Step, name: bytes) -> tuple[int, Step]:
    """Open a directory and say what it is.  Raises :class:`UnsafePathError` and ``OSError``."""
    descriptor = os.open(name, _DIRECTORY, dir_fd=above)
    status = os.fstat(descriptor)
    step = Step(os.path.join(before.path, name), status, before.own and _is_own(status))
    if _is_for_whoever_comes_first(before) and not _is_own(status):
        os.close(descriptor)
        raise UnsafePathError(
            f"{shown(step.path)} belongs to {whose(status.st_uid)} and lies in {shown(before.path)}, where"
            " others than root may make a directory: name one that is root's, or that lies in its owner's own"
        )
    return descriptor, step


class _Walk:
    """Where following a path has come to."""

    def __init__(self) -> None:
        self.descriptor = os.open(b"/", _DIRECTORY)
        self.steps = [Step(b"/", os.fstat(self.descriptor), own=True)]
        self._links = 0

    def follow(self, path: bytes) -> bytes:
        """Follow a path; return the name that is free where its last component is not there, else b""."""
        waiting = _components(path)
        while waiting:
            name = waiting.pop()
            if name == b"..":
                self._leave()
                continue
            try:
                below, step = _enter(self.descriptor, self.steps[-1], name)
            except FileNotFoundError:
                if waiting:
                    raise NothingThereError(shown(os.path.join(self.steps[-1].path, name))) from None
                return name
            except NotADirectoryError:
                waiting += self._goal_of(name)
            else:
                self._go_to(below)
                self.steps.append(step)
        return b""

    def _go_to(self, descriptor: int) -> None:
        os.close(self.descriptor)
        self.descriptor = descriptor

    def _leave(self) -> None:
        """Go back to where this directory was found, which must still be where it lies."""
        if len(self.steps) == 1:
            return
        left = self.steps.pop()
        self._go_to(os.open(b"..", _DIRECTORY, dir_fd=self.descriptor))
        status = os.fstat(self.descriptor)
        if (status.st_dev, status.st_ino) != self.steps[-1].identity:
            raise UnsafePathError(f"{shown(left.path)} was moved while it was looked at: try again")

    def _goal_of(self, name: bytes) -> list[bytes]:
        """Return the components that a symbolic link leads to, the next one last."""
        link = os.open(name, _LINK, dir_fd=self.descriptor)
        try:
            status = os.fstat(link)
            if stat.S_ISDIR(status.st_mode):
                # A directory has taken the link's place meanwhile; the count bounds how often it is entered.
                self._count_link(name)
                return [name]
            if not stat.S_ISLNK(status.st_mode):
                raise NotADirectoryError(shown(os.path.join(self.steps[-1].path, name)))
            goal = os.readlink(b"", dir_fd=link)
        finally:
            os.close(link)
        if not (_is_own(status) and self.steps[-1].own):
            self._refuse_link(name, status)
        self._count_link(name)
        if goal.startswith(b"/"):
            self._go_to(os.open(b"/", _DIRECTORY))
            del self.steps[1:]
        return _components(goal)

    def _count_link(self, name: bytes) -> None:
        self._links += 1
        if self._links > _MOST_LINKS:
            raise UnsafePathError(f"{shown(os.path.join(self.steps[-1].path, name))} leads round in circles")

    def _refuse_link(self, name: bytes, status: os.stat_result) -> NoReturn:
        link = shown(os.path.join(self.steps[-1].path, name))
        foreign = next((step for step in self.steps if not step.own), None)
        if foreign is None or not _is_own(status):
            owner = f"of {whose(status.st_uid)}"
        else:
            owner = f"in {shown(foreign.path)}, which belongs to {whose(foreign.status.st_uid)}"
        raise UnsafePathError(
            f"{link} is a symbolic link {owner}, who can lead it anywhere, and is not followed:"
            " name the directory itself"
        )


def _components(path: bytes) -> list[bytes]:
    """Return what is to be entered, the next one last."""
    return [name for name in reversed(path.split(b"/")) if name not in (b"", b".")]
