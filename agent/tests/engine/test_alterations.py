# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each byte of each object altered in turn, and each object cut at each length: nothing passes unseen.

``make test`` tries a sample of the alterations, spread evenly over all objects, ``make torture`` all.
A small encrypted and a small raw storage hold a full and two incrementals.  After every alteration
every date is restored: it is identical, or refused with 4002 or 4004 and the altered object's name;
and at least one date is refused.  Nothing is cached between restores and none is left out.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pytest
from backing_host import Host
from checks.sampling import Sample
from fast_place import fast_directory
from memory_storage import MemoryStorage
from seen_trees import Tree, tree_on_disk

from papi_backup.engine.compression import SegmentDecompressor
from papi_backup.engine.format.segment import Frame
from papi_backup.model.errors import CorruptedBackupError, DecryptionKeyError, PapiError

PROCESSES = 2
SAMPLED = 600
"""Of some 14,000 alterations of 5,000 bytes: more than one for every tenth byte."""
FLIPS = (0x55,)
UNAUTHENTICATED_FLIPS = (0x55, 0x01, 0x80, 0x20)
"""The header is parsed before any key is known: more ways to alter it."""
SLOWEST = 10.0
"""Seconds a restore of these few bytes may take at most, whatever a header asks for."""


@dataclass(frozen=True)
class Small:
    """A storage of a few KiB and what each of its dates must give."""

    host: Host
    objects: dict[str, bytes]
    dates: dict[datetime, Tree]


@dataclass(frozen=True)
class Alteration:
    """What is done to one object: ``flip`` is exclusive-ored into a byte, or all from it on is cut (0)."""

    name: str
    position: int
    flip: int

    def of(self, data: bytes) -> bytes:
        """Return the object as altered."""
        if not self.flip:
            return data[: self.position]
        altered = bytearray(data)
        altered[self.position] ^= self.flip
        return bytes(altered)


@dataclass
class Findings:
    """What one process saw."""

    faults: list[str] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A directory for tens of thousands of trees, one after the other."""
    place = fast_directory()
    yield place
    shutil.rmtree(place)


@pytest.fixture(scope="module", params=["encrypted", "raw"])
def small(request: pytest.FixtureRequest, place: Path) -> Small:
    """Back a small tree up three times, each change of another kind."""
    base = place / request.param
    tree = base / "tree"
    (tree / "dir").mkdir(parents=True)
    storage = MemoryStorage()
    host = Host(base, storage, "the key" if request.param == "encrypted" else "")
    dates: dict[datetime, Tree] = {}

    def back_up() -> None:
        result = host.back_up("inc" if dates else "full")
        assert result.backup_date is not None
        assert result.backup_type == ("inc" if dates else "full")
        dates[result.backup_date] = tree_on_disk(tree)

    (tree / "dir/a").write_text("the first content")
    os.setxattr(tree / "dir/a", "user.note", b"x")
    (tree / "b").hardlink_to(tree / "dir/a")
    (tree / "link").symlink_to("dir/a")
    back_up()
    (tree / "c").write_text("of the second date")
    back_up()
    (tree / "b").unlink()
    (tree / "c").chmod(0o600)
    (tree / "d").write_text("of the third date")
    back_up()
    return Small(host, dict(storage.objects), dates)


def restore_at(small: Small, objects: dict[str, bytes], date: datetime, out: Path) -> PapiError | None:
    """Restore one date from the objects; return its refusal, None if there was none."""
    try:
        small.host.restore(out, date, opener=MemoryStorage(objects))
    except PapiError as error:
        return error
    return None


def check(small: Small, alteration: Alteration, out: Path, findings: Findings) -> None:
    """Restore every date of the altered storage and note whatever must not be."""
    objects = dict(small.objects)
    objects[alteration.name] = alteration.of(objects[alteration.name])
    refusals = 0
    for date, expected in small.dates.items():
        started = time.monotonic()
        error = restore_at(small, objects, date, out)
        findings.slowest = max(findings.slowest, time.monotonic() - started)
        touched, restored = out.exists(), small.host.restored(out)
        shutil.rmtree(out, ignore_errors=True)
        findings.outcomes[type(error).__name__ if error else "identical"] += 1
        if error is None:
            fault = "" if restored == expected else "is restored otherwise"
        else:
            refusals += 1
            fault = fault_of_refusal(error, alteration, restored, expected)
            if isinstance(error, DecryptionKeyError) and touched:
                fault = "something was written for a key that does not fit"
        if fault:
            findings.faults.append(f"{alteration}: {date}: {fault}")
    if not refusals:
        findings.faults.append(f"{alteration}: no date noticed it")


def fault_of_refusal(error: PapiError, alteration: Alteration, restored: Tree, expected: Tree) -> str:
    """Return what is wrong with a refusal, or with what it left on disk."""
    if error.code not in (4002, 4004) or alteration.name not in error.message:
        return f"{error.code}: {error.message}"
    if isinstance(error, CorruptedBackupError) and error.object_name != alteration.name:
        return f"names {error.object_name!r} as the object"
    for path, thing in restored.items():
        original = expected.get(path)
        if original is None or (thing.kind, thing.content, thing.target) != (
            original.kind,
            original.content,
            original.target,
        ):
            return f"{path!r} reached the disk altered"
    return ""


def alterations_of(objects: dict[str, bytes]) -> Iterator[Alteration]:
    for name, data in sorted(objects.items()):
        header = 12 + int.from_bytes(data[8:12], "big") if name.startswith("catalog/") else 0
        for position in range(len(data)):
            for flip in UNAUTHENTICATED_FLIPS if position < header else FLIPS:
                yield Alteration(name, position, flip)
            yield Alteration(name, position, 0)


def work(small: Small, alterations: list[Alteration], out: Path) -> Findings:
    findings = Findings()
    for alteration in alterations:
        check(small, alteration, out, findings)
        if len(findings.faults) > 20:
            break
    return findings


def test_the_unaltered_storage_is_restored_identically_at_every_date(small: Small, place: Path) -> None:
    assert sum(map(len, small.objects.values())) < 6000
    assert len(small.objects) == 9
    for date, expected in small.dates.items():
        assert restore_at(small, small.objects, date, place / "out") is None
        assert small.host.restored(place / "out") == expected
        shutil.rmtree(place / "out")
    assert len({repr(tree) for tree in small.dates.values()}) == 3


@pytest.mark.slow
def test_every_altered_byte_and_every_cut_is_noticed_and_none_reaches_a_file(
    small: Small, place: Path, sample: Sample
) -> None:
    alterations = sample.of(list(alterations_of(small.objects)), SAMPLED)
    started = time.monotonic()
    with multiprocessing.get_context("fork").Pool(PROCESSES) as pool:
        waiting = [
            pool.apply_async(work, (small, alterations[share::PROCESSES], place / f"out{share}"))
            for share in range(PROCESSES)
        ]
        found = [one.get() for one in waiting]
    seconds = time.monotonic() - started
    outcomes = sum((one.outcomes for one in found), Counter())
    print(
        f"\n{sum(map(len, small.objects.values()))} bytes in {len(small.objects)} objects, "
        f"{len(alterations)} alterations, {outcomes.total()} restores in {seconds:.0f} s: {dict(outcomes)}, "
        f"slowest {max(one.slowest for one in found):.3f} s"
    )
    assert [fault for one in found for fault in one.faults] == []
    assert outcomes.total() == len(alterations) * len(small.dates)
    assert max(one.slowest for one in found) < SLOWEST


@pytest.mark.parametrize("planted", [ZeroDivisionError, KeyError, TypeError, ValueError, IndexError])
def test_a_fault_of_the_program_is_not_called_damage(
    small: Small, place: Path, planted: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else every alteration could be 'noticed' by a reader that is merely broken."""

    def broken(self: SegmentDecompressor, frame: Frame) -> bytes:
        raise planted("a fault of the program")

    monkeypatch.setattr(SegmentDecompressor, "decompress", broken)
    with pytest.raises(planted, match="a fault of the program"):
        restore_at(small, small.objects, max(small.dates), place / "out")
