# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens what lies below a directory held open, following no symbolic link on the way."""

from __future__ import annotations

import ctypes
import errno
import os
import struct

LONGEST_PATH = 4000
"""Longer paths are opened in steps: the kernel takes at most 4,095 bytes at once."""
_OPENAT2 = 437
"""Number of the system call, the same on every architecture that CPython has binaries for."""
_RESOLVE_NO_MAGICLINKS, _RESOLVE_NO_SYMLINKS, _RESOLVE_BENEATH = 0x02, 0x04, 0x08
_HOW = struct.Struct("=QQQ")
_UNAVAILABLE = frozenset((errno.ENOSYS, errno.EPERM))
"""How a kernel without the call answers, and how the filter of a systemd unit does."""
_STEP = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

_system_call = ctypes.CDLL(None, use_errno=True).syscall
_system_call.argtypes = (ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t)
_system_call.restype = ctypes.c_long


def openat2(directory: int, path: bytes, flags: int) -> int:
    """Open a path of less than 4,096 bytes with one system call; no component of it may be a link.

    Raises OSError: ELOOP for a link, ENOSYS or EPERM where the call is not to be had.
    """
    how = _HOW.pack(flags, 0, _RESOLVE_BENEATH | _RESOLVE_NO_SYMLINKS | _RESOLVE_NO_MAGICLINKS)
    while True:
        descriptor: int = _system_call(_OPENAT2, directory, path, how, len(how))
        if descriptor >= 0:
            return descriptor
        number = ctypes.get_errno()
        if number != errno.EINTR:
            raise OSError(number, os.strerror(number))


def open_beneath(directory: int, path: bytes, flags: int) -> int:
    """Open a path of any length, relative to ``directory`` and without ``..``; ``b""`` is that itself.

    Raises OSError: ELOOP or ENOTDIR where a component is a symbolic link.
    """
    flags |= os.O_NOFOLLOW | os.O_CLOEXEC
    above, rest = directory, path or b"."
    try:
        while len(rest) >= LONGEST_PATH:
            head = rest[:LONGEST_PATH].rpartition(b"/")[0]
            step = _open_short(above, head, _STEP)
            _close_step(above, directory)
            above, rest = step, rest[len(head) + 1 :]
        return _open_short(above, rest, flags)
    finally:
        _close_step(above, directory)


def _open_short(directory: int, path: bytes, flags: int) -> int:
    try:
        return openat2(directory, path, flags)
    except OSError as error:
        if error.errno not in _UNAVAILABLE:
            raise
    return _open_by_steps(directory, path, flags)


def _open_by_steps(directory: int, path: bytes, flags: int) -> int:
    """Do what openat2 does with one call for each component."""
    *above, name = path.split(b"/")
    place = directory
    try:
        for component in above:
            step = os.open(component, _STEP, dir_fd=place)
            _close_step(place, directory)
            place = step
        return os.open(name, flags, dir_fd=place)
    finally:
        _close_step(place, directory)


def _close_step(descriptor: int, directory: int) -> None:
    """Close what was opened on the way, which the beginning of the way was not."""
    if descriptor != directory:
        os.close(descriptor)
