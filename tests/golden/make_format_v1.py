# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Made the golden repository ``format-v1``; kept to show how, not to be run again.

    PYTHONPATH=agent/src python3 tests/golden/make_format_v1.py DIRECTORY

A storage of every released format version stays in the tests and must stay restorable, so what is
there must never be made anew: a reader that no longer reads it is wrong, not the storage.  A later
version gets a directory of its own.  DIRECTORY must not exist.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from described_tree import Description, describe

from papi_backup.engine.backup import run_backup
from papi_backup.engine.storage.directory import DirectoryStorage
from papi_backup.model.job import BackupOrder, Progress
from papi_backup.model.schedule import BackupType, SourceSet
from papi_backup.model.secret import Secret
from papi_backup.model.storage import S3Storage, StorageAccess

KEY = "a golden key, Schlüssel, ключ"
HOST, NAME, INSTANCE = "golden.example", "everything there is", "601de7000000c0de"
TREE = Path(tempfile.gettempdir(), "papi-golden", "tree")
FIRST_DATE = datetime(2026, 1, 1, 3, tzinfo=UTC)
Step = Callable[[], None]


def grow() -> None:
    """Make the tree of the full backup."""
    many = TREE / "many"
    many.mkdir(parents=True)
    for number in range(900):
        (many / f"{number:04}").write_bytes(b"%d" % number)
    (TREE / "a" / "deep" / "place").mkdir(parents=True)
    (TREE / "a" / "deep" / "place" / os.fsdecode(b"not utf-8 \xff\n")).write_bytes(b"odd name")
    (TREE / "a-b").write_bytes(b"")
    (TREE / "naïve ☕").write_bytes(b"unicode")
    (TREE / "noise").write_bytes(hashlib.shake_256(b"noise").digest(30_000))
    (TREE / "text").write_bytes(b"the quick brown fox jumps over the lazy dog\n" * 40_000)
    os.link(TREE / "noise", TREE / "a" / "linked")
    (TREE / "to nowhere").symlink_to("/does/not/exist")
    os.link(TREE / "to nowhere", TREE / "a" / "linked too", follow_symlinks=False)
    os.mkfifo(TREE / "pipe", 0o640)
    (TREE / "read-only").mkdir()
    (TREE / "read-only" / "secret").write_bytes(b"0400")
    (TREE / "read-only" / "secret").chmod(0o400)
    (TREE / "setuid").write_bytes(b"4755")
    (TREE / "setuid").chmod(0o4755)
    os.setxattr(TREE / "setuid", "user.empty", b"")
    os.setxattr(TREE / "a", "user.binary", bytes(range(256)))
    with open(TREE / "islands", "wb") as file:
        for number in range(100):
            file.seek(number * 65_536)
            file.write(b"island %d" % number)
        file.truncate(8 << 20)
    os.utime(TREE / "a-b", ns=(0, -1))
    os.utime(TREE / "setuid", ns=(0, 4_102_444_800_123_456_789))
    os.utime(TREE / "to nowhere", ns=(0, 1), follow_symlinks=False)
    (TREE / "read-only").chmod(0o500)
    os.utime(TREE / "many", ns=(0, 1_600_000_000_000_000_001))


def change() -> None:
    """Make the changes of the first incremental."""
    (TREE / "many" / "0500").write_bytes(b"changed")
    (TREE / "many" / "0501").unlink()
    (TREE / "many" / "05005").write_bytes(b"new")
    (TREE / "text").write_bytes(b"!" + (TREE / "text").read_bytes())
    (TREE / "a-b").chmod(0o600)
    (TREE / "a" / "linked").unlink()


def change_again() -> None:
    """Make the changes of the second incremental."""
    shutil.rmtree(TREE / "a")
    (TREE / "a").write_bytes(b"was a directory")
    (TREE / "a-b").unlink()
    (TREE / "a-b").mkdir()
    (TREE / "a-b" / "now").symlink_to("../text")
    os.removexattr(TREE / "setuid", "user.empty")
    with open(TREE / "islands", "r+b") as file:
        file.seek(50 * 65_536)
        file.write(b"ISLAND")


def back_up(root: Path, key: str, kind: BackupType, date: datetime) -> None:
    """Run one backup of the tree."""
    access = StorageAccess(S3Storage("golden", "id", Secret("unused"), "bucket", 1))
    order = BackupOrder(
        host_name=HOST,
        instance_id=INSTANCE,
        backup_name=NAME,
        backup_type=kind,
        access=access,
        sources=SourceSet((os.fspath(TREE),), ("*.never",)),
        encryption_key=Secret(key),
        state_dir="",
        cache_dir=os.fspath(TREE.with_name(f"cache-{bool(key)}")),
        scrypt_cost=1 << 10,
        helpers=0,
    )

    def report(progress: Progress) -> None:
        del progress

    print(run_backup(order, partial(DirectoryStorage, root), report, lambda: date).description)


def main() -> None:
    """Grow, back up, change, back up, change, back up; note each tree."""
    golden = Path(sys.argv[1])
    golden.mkdir()
    (golden / "key.txt").write_text(KEY + "\n", encoding="utf-8")
    expected: list[dict[str, Any]] = []
    before: Description = {}
    steps: list[Step] = [grow, change, change_again]
    for number, step in enumerate(steps):
        step()
        date = FIRST_DATE + timedelta(days=number)
        for storage, key in (("encrypted", KEY), ("raw", "")):
            (golden / storage).mkdir(exist_ok=True)
            back_up(golden / storage, key, "inc" if number else "full", date)
        tree = describe(os.fspath(TREE))
        changed = {path: facts for path, facts in tree.items() if before.get(path) != facts}
        gone = sorted(before.keys() - tree.keys())
        expected.append({"date": date.isoformat(), "gone": gone, "changed": changed})
        before = tree
    document = {"host": HOST, "name": NAME, "root": os.fspath(TREE), "backups": expected}
    (golden / "expected.json").write_text(
        json.dumps(document, separators=(",", ":")).replace("},", "},\n") + "\n"
    )
    (TREE / "read-only").chmod(0o700)
    shutil.rmtree(TREE.parent)


if __name__ == "__main__":
    main()
