# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restores a papi.backup backup from a directory of downloaded objects, without the product.

    python3 recover.py OBJECTS --list
    python3 recover.py OBJECTS --host HOST --name NAME [--date DATE] [--key-file FILE] --target DIR

OBJECTS holds ``catalog/`` and ``data/`` as on the storage; DIR must be missing or empty.  A second reader of
format version 1, written from docs/format.md: every byte is authenticated before it is used; what is damaged
is left out and named, the rest is restored.  Exit status: 0 all restored, 1 something lost, 2 nothing done.
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
import struct
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

SEGMENT, BODY, HEADER, CACHED_SEGMENTS = 4 << 20, 8 << 20, 64 << 10, 16
SUITES = {"enc": "aes-256-cbc+hmac-sha-256", "raw": "raw+hmac-sha-256"}
ID = "([0-9a-f]{16})"
MANIFEST_NAME = re.compile(
    r"(\d{8}T\d{6}Z)-(full|inc)-(enc|raw)-" + f"{ID}-" * 3 + r"(\d{1,18})\.v1", re.ASCII
)
MALFORMED = (KeyError, TypeError, ValueError, IndexError, AttributeError, RecursionError, OverflowError)
NO_DOWNGRADE = "a key was given, but the backup is not encrypted: anyone can have written it"
PARENTS = frozenset((b"", b".", b".."))
NODES = {"p": stat.S_IFIFO, "c": stat.S_IFCHR, "b": stat.S_IFBLK}
DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

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
    raw = name.encode("utf-8", "surrogateescape")
    escaped = "".join(chr(byte) if byte in plain else f"={byte:02x}" for byte in raw)
    return "=2e" + escaped[1:] if escaped.startswith(".") else escaped


def catalog(objects: str, host: str, name: str) -> list[Found]:
    """Return the backups of an escaped host and name, oldest first."""
    directory, found = os.path.join(objects, "catalog", host, name), []
    for file in os.listdir(directory) if os.path.isdir(directory) else ():
        if match := MANIFEST_NAME.fullmatch(file):
            kind, backup, size, path = match[2], match[5], int(match[7]), f"{host}/{name}/{file}"
            with suppress(ValueError):
                date = datetime.strptime(match[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
                found.append(Found(date, backup, kind, match[3], match[4], match[6], size, path))
    return sorted(found)


def read_object(objects: str, name: str, offset: int, length: int) -> bytes:
    """Return bytes of a downloaded object."""
    try:
        descriptor = os.open(os.path.join(objects, name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(descriptor, "rb"):
            return os.pread(descriptor, length, offset)
    except OSError as error:
        raise DamagedError(f"{name}: {error.strerror}") from None


def name_bytes(name: str) -> bytes:
    """Return a file's name as the system has it."""
    return name.encode("utf-8", "surrogateescape")


def fields(*values: bytes) -> bytes:
    """Return length-prefixed fields."""
    return b"".join(len(value).to_bytes(4, "big") + value for value in values)


class Keys:
    """The subkeys of a chain."""

    def __init__(self, header: dict[str, Any], found: Found, key: bytes) -> None:
        self.suite, self.encrypted = SUITES[found.protection], found.protection == "enc"
        if header["format"] != 1 or header["required"] != []:
            raise RefusedError("the backup needs features that this program does not have")
        if header["suite"] != self.suite or header["chain"] != found.chain:
            raise DamagedError("its header and its name contradict each other")
        if bool(key) != self.encrypted:
            raise RefusedError("the backup is encrypted: give --key-file" if self.encrypted else NO_DOWNGRADE)
        self._extracted = hmac.digest(bytes.fromhex(found.chain), self._chain_key(header, key), "sha256")
        self.encryption, self.authentication = self._subkey(b"encryption"), self._subkey(b"authentication")

    def _chain_key(self, header: dict[str, Any], key: bytes) -> bytes:
        if not self.encrypted:
            (slot,) = header["slots"]
            return base64.b64decode(slot["key"])
        for slot in [slot for slot in header["slots"] if slot["type"] == "scrypt"][:4]:
            cost = slot["n"]
            if cost not in [1 << bits for bits in range(10, 19)] or (slot["r"], slot["p"]) != (8, 1):
                raise DamagedError("its scrypt parameters are outside the allowed ones")
            salt, wrapped = base64.b64decode(slot["salt"]), base64.b64decode(slot["key"])
            derived = hashlib.scrypt(key, salt=salt, n=cost, r=8, p=1, maxmem=512 << 20, dklen=32)
            with suppress(InvalidUnwrap):
                return aes_key_unwrap(derived, wrapped)
        raise RefusedError("the key does not open this backup")

    def _subkey(self, purpose: bytes) -> bytes:
        """One block of HKDF-SHA-256's expansion (RFC 5869)."""
        return hmac.digest(self._extracted, b"papi-backup 1 " + purpose + b"\x01", "sha256")

    def open(self, context: bytes, sealed: bytes, cap: int) -> bytes:
        """Verify, then decrypt, then decompress."""
        frame, tag = sealed[:-32], sealed[-32:]
        if not hmac.compare_digest(hmac.digest(self.authentication, context + frame, "sha256"), tag):
            raise DamagedError("its bytes or its name were altered")
        if self.encrypted:
            decryptor = Cipher(algorithms.AES(self.encryption), modes.CBC(frame[:16])).decryptor()
            frame = decryptor.update(frame[16:]) + decryptor.finalize()
        codec, raw_size, payload_size, reserved = struct.unpack_from(">IIII", frame)
        payload = frame[16 : 16 + payload_size]
        if codec not in (0, 1 << 24) or reserved or len(payload) != payload_size or raw_size > cap:
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


def leaf_entries(page: dict[str, Any]) -> list[Entry]:
    """Return the entries of a leaf page; a path that could leave the target is refused."""
    table = segment_table(page)
    items, start, entries = content_items(page, table), 0, []
    rare = {key: page.get(key, {}) for key in ("lists", "x", "l", "h", "r", "fl")}
    columns = zip(*(page[key] for key in ("t", "d", "n", "m", "o", "mt", "ct", "in", "s", "c")), strict=True)
    for row, (kind, place, name, mode, who, mtime, ctime, inode, size, count) in enumerate(columns):
        path = name_bytes((page["dirs"][place] + "/" if page["dirs"][place] else "") + name)
        if (
            "/" in name
            or b"\0" in path
            or ((path or kind != "d") and not PARENTS.isdisjoint(path.split(b"/")))
        ):
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
        self._objects, self._found = objects, found
        self._host, self._name, _file = found.path.split("/")
        self._cached = lru_cache(CACHED_SEGMENTS)(self._segment)
        self.problems: list[str] = []
        name = "catalog/" + found.path
        data = read_object(objects, name, 0, 2 * BODY)
        length = int.from_bytes(data[8:12], "big")
        if data[:8] != b"PAPIBKP1" or len(data) != found.size or length > HEADER:
            raise DamagedError(f"{name}: is no manifest, or not as long as its name says")
        before, sealed = data[: 12 + length], data[12 + length :]
        try:
            self._keys = Keys(json.loads(before[12:]), found, key)
            context = self._context(found.backup, "m", 0, 0) + fields(found.path.encode(), before)
            self.manifest = json.loads(self._keys.open(context, sealed, BODY))
            if self.manifest["required"] != []:
                raise RefusedError("the backup needs features that this program does not have")
        except (*MALFORMED, DamagedError, zstandard.ZstdError, struct.error) as error:
            raise DamagedError(f"{name}: {error}") from None

    def _context(self, backup: str, kind: str, volume: int, offset: int) -> bytes:
        suite, host, name = self._keys.suite.encode(), self._host.encode(), self._name.encode()
        ids = (bytes.fromhex(self._found.chain), bytes.fromhex(backup))
        place = (kind.encode(), volume.to_bytes(8, "big"), offset.to_bytes(8, "big"))
        return fields(b"papi-backup", b"\x00\x01", suite, host, name, *ids, *place)

    def _segment(self, kind: str, segment: Segment) -> bytes:
        """Return a segment's raw bytes, verified."""
        place = f"{segment.backup}/{kind}/{segment.volume // 1000}/{segment.volume}"
        volume = f"data/{self._host}/{self._name}/{self._found.chain}/{place}"
        context = self._context(segment.backup, kind, segment.volume, segment.offset)
        sealed = read_object(self._objects, volume, segment.offset, segment.length)
        try:
            if len(sealed) != segment.length or sealed[-32:] != segment.tag:
                raise DamagedError("another segment lies there, or a part of one")
            return self._keys.open(context, sealed, segment.raw_size)
        except (DamagedError, ValueError, zstandard.ZstdError, struct.error) as error:
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
        if (root := self.manifest["root"]) is not None:
            table = segment_table(self.manifest)
            for entry in self._below(Piece(table[root[0]], root[1], root[2])):
                if entry.path.split(b"/") <= last:
                    raise DamagedError("the file list is not in order")
                last = entry.path.split(b"/")
                yield entry

    def _below(self, reference: Piece) -> Iterator[Entry]:
        entries, children = list[Entry](), list[Piece]()
        try:
            page = json.loads(bytes(self.bytes_of("i", reference)))
            if page["k"] == "leaf":
                entries = leaf_entries(page)
            elif page["k"] == "node":
                table = segment_table(page)
                children = [Piece(table[row[0]], row[1], row[2]) for row in page["c"]]
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
        for piece in pieces:
            left -= piece.length
            if piece.length <= 0 or left < 0:
                break
            yield piece
        if left:
            raise DamagedError("its content list is of another length")

    def _pieces_below(self, reference: Piece) -> Iterator[Piece]:
        page = json.loads(bytes(self.bytes_of("i", reference)))
        table = segment_table(page)
        if page["k"] == "items":
            yield from content_items(page, table)
            return
        for row in page["c"]:
            yield from self._pieces_below(Piece(table[row[0]], row[1], row[2]))


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
            device = os.makedev(*entry.more.get("r", (0, 0)))
            os.mknod(name, NODES[entry.kind] | 0o600, device, dir_fd=place)
        self._finish(entry, b"/proc/self/fd/%d/%s" % (place, name))

    def _enter(self, parent: bytes) -> int:
        """Return the open parent; directories left behind get their metadata, lost ones are made."""
        while self._open[-1][0] and not (parent + b"/").startswith(self._open[-1][0] + b"/"):
            self._leave()
        path, place, _entry = self._open[-1]
        for component in filter(None, parent[len(path) :].split(b"/")):
            path = path + b"/" + component if path else component
            place = self._descend(path, component, place, None)
        return place

    def _descend(self, path: bytes, name: bytes, place: int, entry: Entry | None) -> int:
        os.mkdir(name, 0o700, dir_fd=place)
        self._open.append((path, os.open(name, DIRECTORY, dir_fd=place), entry))
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
        steps: list[Callable[[], object]] = []
        if os.geteuid() == 0:
            steps.append(partial(os.lchown, path, *entry.owner))
        for name, value in entry.more["x"].items():
            steps.append(partial(os.setxattr, path, name, value, follow_symlinks=False))
        if entry.kind != "l":
            steps.append(partial(os.chmod, path, entry.mode))
        steps.append(partial(os.utime, path, ns=(entry.mtime, entry.mtime), follow_symlinks=False))
        for step in steps:
            try:
                step()
            except (OSError, OverflowError) as error:
                self.warnings.append(f"{os.fsdecode(entry.path)!r}: {error}")


def list_all(objects: str) -> None:
    """Print every backup of every host, by names alone."""
    for place in sorted(Path(objects, "catalog").glob("*/*")):
        for one in catalog(objects, *place.parts[-2:]):
            print(f"{one.date:%Y-%m-%dT%H:%M:%SZ} {one.kind:4} {one.protection} {one.path}")


def recover(arguments: argparse.Namespace) -> int:
    """Restore one backup; return the exit status."""
    key = Path(arguments.key_file).read_bytes().removesuffix(b"\n") if arguments.key_file else b""
    candidates = catalog(arguments.objects, escape(arguments.host.lower()), escape(arguments.name))
    date = datetime.fromisoformat(arguments.date or "9999-12-31").replace(tzinfo=UTC)
    candidates = [one for one in candidates if one.date <= date]
    if not candidates:
        raise RefusedError("there is no such backup")
    found = candidates[-1]
    backup = Backup(arguments.objects, found, key)
    os.makedirs(arguments.target, mode=0o700, exist_ok=True)
    root = os.open(arguments.target, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    if os.listdir(root):
        raise RefusedError(f"{arguments.target} is not empty")
    print(f"{found.path}\nof {found.date}, instance {found.instance}, number {backup.manifest['sequence']}")
    target = Target(backup, root)
    target.restore()
    for line in [f"warning: {text}" for text in target.warnings] + [f"LOST: {text}" for text in target.lost]:
        print(line, file=sys.stderr)
    print(f"{target.restored} entries restored, {len(target.lost)} lost, {len(target.warnings)} warnings")
    return 1 if target.lost else 0


def main() -> int:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description="Restore a papi.backup backup from downloaded objects.")
    parser.add_argument("objects")
    for option in ("host", "name", "date", "key-file", "target"):
        parser.add_argument(f"--{option}", default="")
    parser.add_argument("--list", action="store_true")
    arguments = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    os.umask(0o077)
    try:
        if arguments.list:
            list_all(arguments.objects)
            return 0
        if not (arguments.host and arguments.name and arguments.target):
            parser.error("--host, --name and --target are needed")
        return recover(arguments)
    except (DamagedError, RefusedError, OSError, ValueError) as error:
        print(f"recover: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
