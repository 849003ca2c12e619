# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restores a papi.backup backup from a directory of downloaded objects, without the product.

    python3 recover.py OBJECTS --list
    python3 recover.py OBJECTS --host HOST --name NAME [--date DATE] [--key-file FILE] --target DIR

OBJECTS holds ``catalog/`` and ``data/``, DIR nothing.  A second reader of format version 1 (docs/format.md):
every byte is authenticated before it is used; what is damaged is left out and named, the rest is restored.
Exit status: 0 all restored, 1 something lost, 2 nothing done.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import json
import os
import re
import resource
import stat
import sys
from collections import namedtuple
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import zstandard
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap

SEGMENT, BODY, HEADER, CACHED_SEGMENTS, MOST_DERIVED = 4 << 20, 8 << 20, 64 << 10, 16, 32
SUITES = {"enc": "aes-256-cbc+hmac-sha-256", "raw": "raw+hmac-sha-256"}
ID, HEADER_TOLD = "([0-9a-f]{16})", ("format", "required", "suite", "chain")
NAME = re.compile(r"(?a)(\d{8}T\d{6}Z)-(full|inc)-(enc|raw)-" + f"{ID}-" * 3 + r"([1-9]\d{0,17})\.v1")
MALFORMED = (KeyError, TypeError, ValueError, IndexError, AttributeError, RecursionError, OverflowError)
BODY_DATE, SLOTS = "%Y-%m-%dT%H:%M:%SZ", ("scrypt", "clear")
CONTRADICTION = "its contents do not fit its name or this program"
NO_DOWNGRADE = "a key was given, but the backup is not encrypted: anyone can have written it"
NODES = {"p": stat.S_IFIFO, "c": stat.S_IFCHR, "b": stat.S_IFBLK}
derive = lru_cache(None)(partial(hashlib.scrypt, r=8, p=1, maxmem=512 << 20, dklen=32))
name_bytes = partial(str.encode, encoding="utf-8", errors="surrogateescape")
READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

Found = namedtuple("Found", "date backup kind protection chain instance size path")
Segment = namedtuple("Segment", "backup volume offset length raw_size tag")
Piece = namedtuple("Piece", "segment offset length")  # a piece without segment is a hole
Entry = namedtuple("Entry", "path kind mode owner mtime identity size pieces more")


class DamagedError(Exception):
    """An object is missing, altered or malformed."""


class RefusedError(Exception):
    """A wrong key, an unknown version, a target in use: nothing was done."""


def escape(name: str) -> str:
    """Return a host or backup name as it stands in object names."""
    plain = b"abcdefghijklmnopqrstuvwxyz0123456789._-"
    escaped = "".join(chr(byte) if byte in plain else f"={byte:02x}" for byte in name_bytes(name))
    return "=2e" + escaped[1:] if escaped.startswith(".") else escaped


def catalog(objects: str, host: str, name: str) -> list[Found]:
    """Return the backups of an escaped host and name, oldest first."""
    directory, found = os.path.join(objects, "catalog", host, name), []
    for file in os.listdir(directory) if os.path.isdir(directory) else ():
        if match := NAME.fullmatch(file):
            with suppress(ValueError):
                date = datetime.strptime(match[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
                backup, size, path = match[5], int(match[7]), f"{host}/{name}/{file}"
                found.append(Found(date, backup, match[2], match[3], match[4], match[6], size, path))
    return sorted(found)


def read_object(objects: str, name: str, offset: int, length: int) -> bytes:
    """Return bytes of a downloaded object."""
    try:
        with open(os.open(os.path.join(objects, name), READ), "rb") as file:
            return os.pread(file.fileno(), length, offset)
    except OSError as error:
        raise DamagedError(f"{name}: {error.strerror}") from None


def fields(*values: bytes) -> bytes:
    """Return length-prefixed fields."""
    return b"".join(len(value).to_bytes(4, "big") + value for value in values)


class Keys:
    """The subkeys of a chain."""

    def __init__(self, header: dict[str, Any], found: Found, key: bytes) -> None:
        self.suite, self.encrypted = SUITES[found.protection], found.protection == "enc"
        if [1, [], self.suite, found.chain] != [header[key] for key in HEADER_TOLD]:
            raise DamagedError(CONTRADICTION)
        if bool(key) != self.encrypted:
            raise RefusedError("the backup is encrypted: give --key-file" if self.encrypted else NO_DOWNGRADE)
        self._extracted = hmac.digest(bytes.fromhex(found.chain), self._chain_key(header, key), "sha256")
        self.encryption, self.authentication = self._subkey(b"encryption"), self._subkey(b"authentication")

    def _chain_key(self, header: dict[str, Any], key: bytes) -> bytes:
        slots = sorted((s for s in header["slots"] if s["type"] in SLOTS), key=lambda s: s["type"])
        if not self.encrypted:
            return base64.b64decode(dict(*slots)["key"])
        for slot in slots:
            cost, rest = slot["n"], (slot["r"], slot["p"])
            if cost not in [1 << bits for bits in range(10, 19)] or rest != (8, 1) or len(slots) > 4:
                raise DamagedError("its scrypt slots are outside the allowed ones")
            salt, wrapped = base64.b64decode(slot["salt"]), base64.b64decode(slot["key"])
            with suppress(InvalidUnwrap):
                return aes_key_unwrap(derive(key, salt=salt, n=cost), wrapped)
        raise RefusedError("the key does not open this backup")

    def _subkey(self, purpose: bytes) -> bytes:
        return hmac.digest(self._extracted, b"papi-backup 1 " + purpose + b"\x01", "sha256")

    def open(self, context: bytes, sealed: bytes, cap: int) -> bytes:
        """Verify, then decrypt, then decompress."""
        frame, tag = sealed[:-32], sealed[-32:]
        if not hmac.compare_digest(hmac.digest(self.authentication, context + frame, "sha256"), tag):
            raise DamagedError("its bytes or its name were altered")
        if self.encrypted:
            decryptor = Cipher(algorithms.AES(self.encryption), modes.CBC(frame[:16])).decryptor()
            frame = decryptor.update(frame[16:]) + decryptor.finalize()
        codec, raw_size, size, reserved = (int.from_bytes(frame[n : n + 4], "big") for n in (0, 4, 8, 12))
        payload = frame[16 : 16 + size]
        if codec not in (0, 1 << 24) or reserved or len(payload) != size or raw_size > cap:
            raise DamagedError("its frame is malformed")
        if codec:
            payload = zstandard.ZstdDecompressor().stream_reader(payload).read(raw_size + 1)
        if len(payload) != raw_size:
            raise DamagedError("its length is not the declared one")
        return payload


def segment_table(page: dict[str, Any]) -> list[Segment]:
    """Return the segments a page refers to."""
    table = []
    for which, volume, offset, length, raw_size, tag in page["segs"]:
        backup = page["backups"][which]
        if not re.fullmatch(ID, backup) or not 0 <= length <= SEGMENT + 64 or not 0 <= raw_size <= SEGMENT:
            raise ValueError("a segment reference is out of bounds")
        table.append(Segment(backup, volume, offset, length, raw_size, base64.b64decode(tag)))
    return table


def content_items(page: dict[str, Any], table: list[Segment]) -> list[Piece]:
    """Return the content items of a page."""
    columns = zip(page["sg"], page["of"], page["ln"], strict=True)
    return [Piece(None if index == -1 else table[index], offset, length) for index, offset, length in columns]


def leaf_entries(page: dict[str, Any], table: list[Segment]) -> list[Entry]:
    """Return the entries of a leaf page; a path that could leave the target is refused."""
    items, start, entries = content_items(page, table), 0, []
    rare = {key: page.get(key, {}) for key in ("lists", "x", "l", "h", "r", "fl")}
    columns = zip(*(page[key] for key in ("t", "d", "n", "m", "o", "mt", "ct", "in", "s", "c")), strict=True)
    for row, (kind, place, name, mode, who, mtime, ctime, inode, size, count) in enumerate(columns):
        path = name_bytes((page["dirs"][place] + "/" if page["dirs"][place] else "") + name)
        climbs = (path or kind != "d") and not {b"", b".", b".."}.isdisjoint(path.split(b"/"))
        if climbs or "/" in name or b"\0" in path:
            raise DamagedError(f"the path {path!r} is not allowed")
        more = {key: rows[str(row)] for key, rows in rare.items() if str(row) in rows}
        more["x"] = {name_bytes(key): base64.b64decode(value) for key, value in more.get("x", {}).items()}
        if "lists" in more:
            more["lists"] = Piece(table[more["lists"][0][0]], *more["lists"][0][1:])
        pieces, start = items[start : start + count], start + count
        owner, identity = page["owners"][who][:2], (inode, size, mtime, ctime)
        entries.append(Entry(path, kind, mode & 0o7777, owner, mtime, identity, size, pieces, more))
    return entries


class Backup:
    """A backup with a verified manifest."""

    def __init__(self, objects: str, found: Found, key: bytes) -> None:
        self._objects, self.found = objects, found
        self._place, name = found.path.rpartition("/")[0], "catalog/" + found.path
        self._cached = lru_cache(CACHED_SEGMENTS)(self._segment)
        self.problems: list[str] = []
        data = read_object(objects, name, 0, 2 * BODY)
        length = int.from_bytes(data[8:12], "big")
        if data[:8] != b"PAPIBKP1" or len(data) != found.size or length > HEADER:
            raise DamagedError(f"{name}: is no manifest, or not as long as its name says")
        before, sealed = data[: 12 + length], data[12 + length :]
        try:
            self._keys = Keys(json.loads(before[12:]), found, key)
            context = self._context(found.backup, "m", 0, 0) + fields(found.path.encode(), before)
            self.manifest = json.loads(self._keys.open(context, sealed, BODY))
            told = [self.manifest[key] for key in ("backup", "type", "chain", "instance", "date")]
            place = f"{escape(self.manifest['host'].lower())}/{escape(self.manifest['name'])}"
            ids = (found.backup, found.kind, found.chain, found.instance, f"{found.date:{BODY_DATE}}")
            told += [self.manifest["format"], self.manifest["required"], place]
            if told != [*ids, 1, [], self._place]:
                raise DamagedError(CONTRADICTION)
        except (*MALFORMED, DamagedError, zstandard.ZstdError) as error:
            raise DamagedError(f"{name}: {error}") from None

    def _context(self, backup: str, kind: str, volume: int, offset: int) -> bytes:
        names = [part.encode() for part in (self._keys.suite, *self._place.split("/"))]
        ids = (bytes.fromhex(self.found.chain), bytes.fromhex(backup))
        place = (kind.encode(), volume.to_bytes(8, "big"), offset.to_bytes(8, "big"))
        return fields(b"papi-backup", b"\x00\x01", *names, *ids, *place)

    def _volume(self, backup: str, kind: str, number: int) -> str:
        return f"data/{self._place}/{self.found.chain}/{backup}/{kind}/{number // 1000}/{number}"

    def check_volumes(self) -> None:
        """Note every volume that is missing, or of another size than the table says."""
        try:
            table, rows = segment_table(self.manifest), list(self.manifest["volumes"])
            for row in self.manifest["volume_pages"]:
                rows += json.loads(bytes(self.bytes_of("i", Piece(table[row[0]], *row[1:]))))["v"]
            for backup, kind, first, sizes in rows:
                for number, size in enumerate(sizes, first):
                    path = Path(self._objects, name := self._volume(backup, kind, number))
                    if not path.is_file() or path.stat().st_size != size:
                        self.problems.append(f"{name}: is missing, or has not the {size} bytes of the table")
        except (*MALFORMED, DamagedError) as error:
            self.problems.append(f"a part of the volume table is lost: {error}")

    def _segment(self, kind: str, segment: Segment) -> bytes:
        volume = self._volume(segment.backup, kind, segment.volume)
        context = self._context(segment.backup, kind, segment.volume, segment.offset)
        sealed = read_object(self._objects, volume, segment.offset, segment.length)
        try:
            if len(sealed) != segment.length or sealed[-32:] != segment.tag:
                raise DamagedError("another segment lies there, or a part of one")
            return self._keys.open(context, sealed, segment.raw_size)
        except (DamagedError, ValueError, zstandard.ZstdError) as error:
            raise DamagedError(f"{volume}: at {segment.offset}: {error}") from None

    def bytes_of(self, kind: str, piece: Piece) -> memoryview:
        """Return the bytes a reference means."""
        data = memoryview(self._cached(kind, piece.segment))
        if not 0 <= piece.offset <= piece.offset + piece.length <= len(data):
            raise DamagedError("a reference reaches beyond its segment")
        return data[piece.offset : piece.offset + piece.length]

    def entries(self) -> Iterator[Entry]:
        """Yield the file list; parts of it that are damaged are noted and left out."""
        last: list[bytes] = []
        row, table = self.manifest["root"], segment_table(self.manifest)
        for entry in self._below(Piece(table[row[0]], *row[1:])) if row is not None else ():
            if entry.path.split(b"/") <= last:
                self.problems.append("the rest of the file list is not in order")
                return
            last = entry.path.split(b"/")
            yield entry

    def _below(self, reference: Piece) -> Iterator[Entry]:
        entries, children = list[Entry](), list[Piece]()
        try:
            page = json.loads(bytes(self.bytes_of("i", reference)))
            table = segment_table(page)
            entries = leaf_entries(page, table) if page["k"] == "leaf" else []
            children = [Piece(table[row[0]], *row[1:3]) for row in page["c"]] if page["k"] == "node" else []
            if not entries and not children:
                raise DamagedError("a page is empty or of a wrong kind")
        except (*MALFORMED, DamagedError) as error:
            self.problems.append(f"a part of the file list is lost: {error}")
        yield from entries
        for child in children:
            yield from self._below(child)

    def pieces(self, entry: Entry) -> Iterator[Piece]:
        """Yield a file's content, which is as long as the file."""
        pieces = self._pieces_below(entry.more["lists"]) if "lists" in entry.more else entry.pieces
        left = entry.size
        for one in pieces:
            left -= one.length
            if one.length <= 0 or left < 0:
                break
            yield one
        if left:
            raise DamagedError("its content list is of another length")

    def _pieces_below(self, reference: Piece) -> Iterator[Piece]:
        page = json.loads(bytes(self.bytes_of("i", reference)))
        table = segment_table(page)
        yield from content_items(page, table) if page["k"] == "items" else ()
        for row in page.get("c", ()):
            yield from self._pieces_below(Piece(table[row[0]], *row[1:3]))


class Target:
    """Writes entries below a directory; every step goes through descriptors and follows no link."""

    def __init__(self, backup: Backup, root: int) -> None:
        self._backup, self._root = backup, root
        self._open: list[tuple[bytes, int, Entry | None]] = [(b"", root, None)]
        self._links: dict[tuple[Any, ...], bytes] = {}
        self.lost, self.warnings, self.restored = list[str](), list[str](), 0

    def restore(self) -> None:
        """Restore every entry; a damaged or impossible one is noted."""
        for entry in self._backup.entries():
            try:
                self._restore(entry)
                self.restored += 1
            except (*MALFORMED, DamagedError, OSError) as error:
                self.lost.append(f"{os.fsdecode(entry.path)!r}: {error}")
        while self._open:
            self._leave()
        self.lost.extend(self._backup.problems)

    def _restore(self, entry: Entry) -> None:
        if not entry.path:
            self._open[0] = (b"", self._root, None if "ancestor" in entry.more.get("fl", ()) else entry)
            return
        parent, _slash, name = entry.path.rpartition(b"/")
        place = self._enter(parent)
        if entry.kind == "d":
            self._descend(entry.path, name, place, entry)
            return
        group = (entry.more["h"], *entry.identity) if "h" in entry.more else None
        first = self._links.setdefault(group, entry.path) if group else entry.path
        if first != entry.path:
            with suppress(OSError):
                os.link(first, name, src_dir_fd=self._root, dst_dir_fd=place, follow_symlinks=False)
                return
            self.warnings.append(f"{os.fsdecode(entry.path)!r}: is a copy, not a hard link")
        if entry.kind == "f":
            self._write(entry, name, place)
        elif entry.kind == "l":
            os.symlink(name_bytes(entry.more["l"]), name, dir_fd=place)
        else:
            os.mknod(name, NODES[entry.kind] | 0o600, os.makedev(*entry.more.get("r", (0, 0))), dir_fd=place)
        self._finish(entry, b"/proc/self/fd/%d/%s" % (place, name))

    def _enter(self, parent: bytes) -> int:
        while self._open[-1][0] and not (parent + b"/").startswith(self._open[-1][0] + b"/"):
            self._leave()
        path, place, _entry = self._open[-1]
        for component in filter(None, parent[len(path) :].split(b"/")):
            path = path + b"/" + component if path else component
            place = self._descend(path, component, place, None)
        return place

    def _descend(self, path: bytes, name: bytes, place: int, entry: Entry | None) -> int:
        os.mkdir(name, 0o700, dir_fd=place)
        self._open.append((path, os.open(name, READ | os.O_DIRECTORY, dir_fd=place), entry))
        return self._open[-1][1]

    def _leave(self) -> None:
        path, descriptor, entry = self._open.pop()
        if entry is not None:
            self._finish(entry, b"/proc/self/fd/%d/." % descriptor)
        if path:
            os.close(descriptor)

    def _write(self, entry: Entry, name: bytes, place: int) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(name, flags, 0o600, dir_fd=place), "wb") as file:
            try:
                for piece in self._backup.pieces(entry):
                    if piece.segment is None:
                        file.seek(piece.length, os.SEEK_CUR)
                    else:
                        file.write(self._backup.bytes_of("d", piece))
                file.truncate(entry.size)
            except BaseException:
                os.unlink(name, dir_fd=place)
                raise

    def _finish(self, entry: Entry, path: bytes) -> None:
        """Give a file its metadata; what cannot be given is a warning."""
        steps: list[Callable[[], object]] = [partial(os.lchown, path, *entry.owner)] * (os.geteuid() == 0)
        steps += [partial(os.setxattr, path, *one, follow_symlinks=False) for one in entry.more["x"].items()]
        steps += [] if entry.kind == "l" else [partial(os.chmod, path, entry.mode)]
        steps += [partial(os.utime, path, ns=(entry.mtime, entry.mtime), follow_symlinks=False)]
        for step in steps:
            try:
                step()
            except (OSError, OverflowError) as error:
                self.warnings.append(f"{os.fsdecode(entry.path)!r}: {error}")


def choose(objects: str, candidates: list[Found], key: bytes) -> Backup:
    """Return the backup of the newest second that opens; an older one never stands in for a newer one."""
    failed = list[tuple[datetime, str]]()
    for one in reversed(candidates):
        try:
            backup = Backup(objects, one, key)
            if not failed or failed[0][0] == one.date:
                sys.stderr.writelines(f"warning: of the same second: {text}\n" for _date, text in failed)
                return backup
            failed[9:] = [(one.date, f"the newest that opens is of {one.date}: --date gives it")]
            break
        except (DamagedError, RefusedError) as error:
            failed.append((one.date, f"{one.path}: {error}"))
            if derive.cache_info().misses > MOST_DERIVED:
                break
    raise RefusedError("; ".join(text for _date, text in failed[:10]) or "there is no such backup")


def recover(given: argparse.Namespace) -> int:
    """List backups or restore one; return the exit status."""
    if given.list:
        places = sorted(Path(given.objects, "catalog").glob("*/*"))
        for one in (one for place in places for one in catalog(given.objects, *place.parts[-2:])):
            print(f"{one.date:{BODY_DATE}} {one.kind:4} {one.protection} {one.path}")
        return 0
    key = Path(given.key_file).read_bytes().removesuffix(b"\n") if given.key_file else b""
    candidates = catalog(given.objects, escape(given.host.lower()), escape(given.name))
    date = datetime.fromisoformat(given.date or "9999-12-31").replace(tzinfo=UTC)
    backup = choose(given.objects, [one for one in candidates if one.date <= date], key)
    os.makedirs(given.target, mode=0o700, exist_ok=True)
    root = os.open(given.target, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    if os.listdir(root):
        raise RefusedError(f"{given.target} is not empty")
    found = backup.found
    print(f"{found.path}\nof {found.date}, instance {found.instance}, number {backup.manifest['sequence']}")
    backup.check_volumes()
    (target := Target(backup, root)).restore()
    told = [f"warning: {text}\n" for text in target.warnings] + [f"LOST: {text}\n" for text in target.lost]
    sys.stderr.writelines(told)
    print(f"{target.restored} entries restored, {len(target.lost)} lost, {len(target.warnings)} warnings")
    return 1 if target.lost else 0


def main() -> int:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description="Restore a papi.backup backup from downloaded objects.")
    parser.add_argument("objects")
    for option in ("host", "name", "date", "key-file", "target"):
        parser.add_argument(f"--{option}", default="")
    parser.add_argument("--list", action="store_true")
    given = parser.parse_args()
    if not (given.list or (given.host and given.name and given.target)):
        parser.error("--host, --name and --target are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    os.umask(0o077)
    try:
        return recover(given)
    except (DamagedError, RefusedError, OSError, ValueError) as error:
        print(f"recover: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
