# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens to the sources between two backups."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from demonstration.layout import DemoError, Layout
from demonstration.oddities import set_acl
from demonstration.sources import append_to_log


def change(layout: Layout, number: int) -> None:
    """Make the changes after backup ``number`` (1 or 2)."""
    if number == 1:
        _first(layout.sources)
    elif number == 2:
        _second(layout.sources)
    else:
        raise DemoError(f"there is no change {number}")


def _first(sources: Path) -> None:
    append_to_log(sources / "log" / "service.log", 2_000)
    _insert_at_front(sources / "large" / "archive.bin", b"!")
    _overwrite(sources / "large" / "archive.bin", 17 << 20, b"changed in the middle " * 3000)
    _edit_configuration(sources / "etc")
    odd = sources / "odd"
    _change_quietly(odd / "quiet", b"after!")
    (odd / "linked too").unlink()
    os.link(odd / "secret", odd / "linked too")
    _retarget(odd / "symlink", "empty")
    _retarget(odd / "kind", "now a symbolic link")
    (odd / "other kind" / "inside").unlink()
    (odd / "other kind").rmdir()
    (odd / "other kind").write_bytes(b"a directory no more")
    (odd / "empty directory").chmod(0o1770)
    (odd / "fifo").unlink()
    _overwrite(odd / "sparse", 20 << 20, b"another island")
    _if_there(odd / "with xattrs", lambda path: os.setxattr(path, "user.comment", b"as it is now"))
    _if_there(odd / "with xattrs", lambda path: os.removexattr(path, "user.binary"))
    _if_there(odd / "with an ACL", lambda path: set_acl(path, 6))
    _if_there(odd / "another's", lambda path: os.chown(path, 54321, 12345))
    (odd / "new" / "deep" / "er").mkdir(parents=True)
    (odd / "new" / "deep" / "er" / "file").write_bytes(bytes(range(256)) * 300)


def _second(sources: Path) -> None:
    log = sources / "log" / "service.log"
    log.rename(log.with_name("service.log.1"))
    append_to_log(log, 500)
    with (sources / "large" / "archive.bin").open("r+b") as file:
        file.truncate(36 << 20)
    os.truncate(sources / "odd" / "sparse", 30 << 20)
    odd = sources / "odd"
    (odd / "kind").unlink()
    (odd / "kind").write_bytes(b"a file again")
    os.mkfifo(odd / "fifo")
    _change_quietly(odd / "quiet", b"before")
    (odd / "elsewhere").rename(odd / "new" / "moved")
    (odd / "dangling").unlink()
    _if_there(odd / "with an ACL", lambda path: os.removexattr(path, "system.posix_acl_access"))
    touched = _own_files(sources / "etc")[0]
    os.utime(touched, ns=(1, 1_234_567_890_123_456_789))


def _edit_configuration(etc: Path) -> None:
    files = _own_files(etc)
    if len(files) < 20:
        raise DemoError(f"{etc} holds too little to change")
    for path in files[0:5]:
        with path.open("a") as file:
            file.write("# one more line\n")
    for path in files[5:8]:
        path.unlink()
    for path in files[8:10]:
        path.chmod(stat.S_IMODE(path.stat().st_mode) ^ stat.S_IXUSR)
    files[10].rename(etc / "renamed")
    (etc / "new.conf").write_text("answer = 42\n")
    moved = next((path for path in sorted(etc.iterdir(), reverse=True) if _is_directory(path)), None)
    if moved:
        moved.rename(etc / "renamed directory")


def _is_directory(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _own_files(root: Path) -> list[Path]:
    """Return the ordinary files that hold something and that this user may write, in order."""
    found = []
    for directory, _names, files in os.walk(root):
        found += [path for path in (Path(directory) / name for name in files) if _is_ordinary(path)]
    return sorted(found)


def _is_ordinary(path: Path) -> bool:
    status = path.lstat()
    return stat.S_ISREG(status.st_mode) and status.st_size > 0 and os.access(path, os.W_OK)


def _change_quietly(path: Path, contents: bytes) -> None:
    """Change the contents, but neither size nor modification time."""
    before = path.stat()
    if before.st_size != len(contents):
        raise DemoError(f"{path} has another size than its new contents")
    with path.open("r+b") as file:
        file.write(contents)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _insert_at_front(path: Path, data: bytes) -> None:
    path.write_bytes(data + path.read_bytes())


def _overwrite(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def _retarget(path: Path, target: str) -> None:
    path.unlink()
    path.symlink_to(target)


def _if_there(path: Path, act: Callable[[Path], None]) -> None:
    """Do it where this user and file system could have made the thing at all."""
    if path.exists():
        with suppress(OSError):
            act(path)
