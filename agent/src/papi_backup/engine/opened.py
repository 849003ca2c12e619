# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup opened with its key: manifest verified, pages and segments readable (docs/format.md)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from papi_backup.engine.compression import SegmentDecompressor
from papi_backup.engine.crypto import ChainKeys, open_sealed
from papi_backup.engine.format import FormatError, UnsupportedError
from papi_backup.engine.format.checked import LARGEST_NUMBER
from papi_backup.engine.format.entries import Entry, walk_key
from papi_backup.engine.format.header import LARGEST_HEADER, ChainHeader, parse_header
from papi_backup.engine.format.leaf import LeafPage
from papi_backup.engine.format.manifest import (
    LARGEST_BODY,
    LARGEST_MANIFEST,
    Manifest,
    decode_body,
    split_manifest,
)
from papi_backup.engine.format.names import (
    CATALOG,
    INDEX,
    chain_prefix,
    escape,
    escape_host,
    volume_name,
)
from papi_backup.engine.format.pages import Child, ItemsPage, NodePage, Page, Volume, VolumesPage, decode_page
from papi_backup.engine.format.references import Item, PageRef, SegmentRef
from papi_backup.engine.format.segment import TAG_SIZE, SegmentContext, parse_frame
from papi_backup.engine.keyring import KeyRing
from papi_backup.engine.storage.protocol import ObjectMissingError, Storage
from papi_backup.model.catalog import CatalogEntry
from papi_backup.model.errors import (
    CorruptedBackupError,
)
from papi_backup.model.secret import Secret

_DEEPEST_TREE = 16
_AT_ONCE = 2 * LARGEST_HEADER
"""Bytes up to which a manifest is fetched whole; of a larger one the header is tried first."""


@dataclass(frozen=True, slots=True)
class OpenedBackup:
    """A backup whose manifest was authenticated.  ``tag`` is the manifest's MAC."""

    entry: CatalogEntry
    header: ChainHeader
    keys: ChainKeys
    manifest: Manifest
    tag: bytes

    @property
    def prefix(self) -> str:
        """Prefix of the chain's volumes."""
        return chain_prefix(self.entry.host_name, self.entry.backup_name, self.entry.chain)

    def volume(self, kind: str, segment: SegmentRef) -> str:
        """Return the name of the object that holds a segment."""
        return volume_name(self.prefix, segment.backup, kind, segment.volume)

    def context(self, backup: str) -> SegmentContext:
        """Return the MAC context of segments that ``backup`` wrote into this chain."""
        return segment_context(self.header, self.entry.host_name, self.entry.backup_name, backup)


def segment_context(header: ChainHeader, host_name: str, backup_name: str, backup: str) -> SegmentContext:
    """Return the MAC context of one backup's segments."""
    return SegmentContext(
        suite=header.suite,
        host=escape_host(host_name),
        name=escape(backup_name),
        chain=header.chain,
        backup=backup,
    )


def open_backup(
    storage: Storage,
    entry: CatalogEntry,
    key: Secret,
    known_chain_keys: Mapping[str, Secret] | None = None,
) -> OpenedBackup:
    """Fetch and verify one backup's manifest; ``known_chain_keys`` and what is raised as below."""
    return open_manifest(storage, entry, KeyRing(key, known_chain_keys))


def open_manifest(storage: Storage, entry: CatalogEntry, ring: KeyRing) -> OpenedBackup:
    """Fetch and verify a backup's manifest.

    Raises DecryptionKeyError (4002: wrong key, or a key given for a raw backup),
    DecryptionKeyMissingError (4003), CorruptedBackupError (4004), and what the ring raises.
    """
    name = CATALOG + entry.path
    if not entry.readable:
        raise CorruptedBackupError(f"{name} is of a format version this agent does not know.", name)
    ring.refuse_protection(name, encrypted=entry.encrypted)
    if entry.manifest_size > LARGEST_MANIFEST:
        raise CorruptedBackupError(f"{name} is larger than a manifest can be.", name)
    try:
        if entry.manifest_size > _AT_ONCE:
            start = storage.get(name, 0, _AT_ONCE)
            _unlocked(name, entry, split_manifest(start)[0], ring)
        data = _get_whole(storage, name, entry.manifest_size)
        encoded_header, preamble, sealed = split_manifest(data)
        header, keys = _unlocked(name, entry, encoded_header, ring)
        context = segment_context(header, entry.host_name, entry.backup_name, entry.backup)
        frame = parse_frame(
            open_sealed(keys, context.of_manifest(entry.path, preamble), sealed), LARGEST_BODY
        )
        manifest = decode_body(SegmentDecompressor().decompress(frame))
        if not manifest.belongs_to(entry):
            raise FormatError("its contents and its name contradict each other")
    except ObjectMissingError:
        raise CorruptedBackupError(f"{name} is missing.", name) from None
    except UnsupportedError as error:
        raise CorruptedBackupError(f"{name} cannot be read by this version: {error}.", name) from None
    except FormatError as error:
        raise CorruptedBackupError(f"{name} is damaged: {error}.", name) from None
    return OpenedBackup(entry, header, keys, manifest, bytes(data[-TAG_SIZE:]))


def _unlocked(
    name: str, entry: CatalogEntry, encoded_header: bytes, ring: KeyRing
) -> tuple[ChainHeader, ChainKeys]:
    header = parse_header(encoded_header)
    if header.chain != entry.chain or header.encrypted != entry.encrypted:
        raise FormatError("its header and its name contradict each other")
    return header, ring.keys_of(header, name)


def _get_whole(storage: Storage, name: str, size: int) -> bytes:
    data = storage.get(name, 0, size + 1)
    if len(data) != size:
        raise CorruptedBackupError(f"{name} has {len(data)} bytes instead of {size}.", name)
    return data


class SegmentCache(Protocol):
    """Local copies of sealed segments; only ever a cache, whatever it returns is verified."""

    def load(self, volume: str, offset: int, length: int) -> bytes | None:
        """Return the bytes, or None when they are not there."""

    def store(self, volume: str, offset: int, sealed: bytes) -> None:
        """Keep a segment; failing to is no error."""


class SegmentReader:
    """Fetches and opens segments of one opened backup's chain.  One instance serves one thread."""

    def __init__(self, storage: Storage, opened: OpenedBackup, cache: SegmentCache | None = None) -> None:
        self._storage = storage
        self._opened = opened
        self._cache = cache
        self._decompressor = SegmentDecompressor()
        self._contexts: dict[str, SegmentContext] = {}

    def fetch(self, kind: str, segment: SegmentRef) -> bytes | memoryview:
        """Return a segment's raw bytes.  Raises CorruptedBackupError naming the volume."""
        name = self._opened.volume(kind, segment)
        cached = self._cache.load(name, segment.offset, segment.length) if self._cache else None
        if cached is not None:
            try:
                return self.open(kind, segment, cached)
            except CorruptedBackupError:
                cached = None
        try:
            sealed = self._storage.get(name, segment.offset, segment.length)
        except ObjectMissingError:
            raise CorruptedBackupError(f"{name} is missing.", name) from None
        raw = self.open(kind, segment, sealed)
        if self._cache:
            self._cache.store(name, segment.offset, sealed)
        return raw

    def open(self, kind: str, segment: SegmentRef, sealed: bytes | memoryview) -> bytes | memoryview:
        """Verify and open a segment's bytes, already fetched.  Raises CorruptedBackupError."""
        name = self._opened.volume(kind, segment)
        try:
            if len(sealed) != segment.length:
                raise FormatError(
                    f"it has {len(sealed)} bytes instead of {segment.length} at offset {segment.offset}"
                )
            if bytes(sealed[-TAG_SIZE:]) != segment.tag:
                raise FormatError(f"the segment at offset {segment.offset} is not the one referred to")
            context = self._context(segment.backup).of(kind, segment.volume, segment.offset)
            frame = parse_frame(open_sealed(self._opened.keys, context, sealed), segment.raw_size)
            if frame.raw_size != segment.raw_size:
                raise FormatError(f"the segment at offset {segment.offset} is shorter than it should be")
            return self._decompressor.decompress(frame)
        except FormatError as error:
            raise CorruptedBackupError(f"{name} is damaged: {error}.", name) from None

    def _context(self, backup: str) -> SegmentContext:
        context = self._contexts.get(backup)
        if context is None:
            context = self._contexts[backup] = self._opened.context(backup)
        return context


class ListShare(NamedTuple):
    """One of ``shares`` equal parts of a list, of which each leaf page belongs to one."""

    number: int
    shares: int

    def of(self, entries: int) -> range:
        """Return the entries of this share; the last one has no end, however many there really are."""
        following = self.number + 1
        end = entries * following // self.shares if following < self.shares else LARGEST_NUMBER
        return range(entries * self.number // self.shares, end)


WHOLE = ListShare(0, 1)


class PageReader:
    """Reads the page tree of one opened backup, fetching each index segment at most once in a row."""

    def __init__(self, storage: Storage, opened: OpenedBackup, cache: SegmentCache | None = None) -> None:
        self._segments = SegmentReader(storage, opened, cache)
        self._opened = opened
        self._recent: dict[SegmentRef, bytes | memoryview] = {}
        self.nodes: dict[tuple[Child, ...], PageRef] = {}
        """Every inner page that :meth:`leaves` came through."""

    def page(self, reference: PageRef) -> Page:
        """Return one page.  Raises CorruptedBackupError naming its volume."""
        raw = self._recent.get(reference.segment)
        if raw is None:
            raw = self._segments.fetch(INDEX, reference.segment)
            while len(self._recent) >= _DEEPEST_TREE:
                self._recent.pop(next(iter(self._recent)))
            self._recent[reference.segment] = raw
        try:
            return decode_page(memoryview(raw)[reference.offset : reference.offset + reference.length])
        except FormatError as error:
            name = self._opened.volume(INDEX, reference.segment)
            raise CorruptedBackupError(f"{name} is damaged: {error}.", name) from None

    def leaves(self, share: ListShare = WHOLE) -> Iterator[tuple[PageRef, LeafPage]]:
        """Yield every leaf page of the file list, or of a share of it, in walk order.

        Raises CorruptedBackupError also when the order is broken: a page met twice would be.
        """
        root = self._opened.manifest.root
        last: bytes | None = None
        if root is None:
            return
        wanted = share.of(self._opened.manifest.totals.entries)
        for reference, leaf in self._leaves_below(root, None, 0, 0, wanted):
            if last is not None and walk_key(leaf.paths[0]) <= walk_key(last):
                raise self._damaged(reference, "holds a page out of order")
            last = leaf.paths[-1]
            yield reference, leaf

    def _leaves_below(
        self, reference: PageRef, told: Child | None, depth: int, before: int, wanted: range
    ) -> Iterator[tuple[PageRef, LeafPage]]:
        """Yield the leaves that begin with a ``wanted`` entry; ``before`` this page there are so many."""
        page = self.page(reference)
        if isinstance(page, LeafPage):
            if told is not None and (told.first, told.entries) != (page.paths[0], len(page)):
                raise self._damaged(reference, "holds another page than the one referred to")
            if before in wanted:
                yield reference, page
        elif isinstance(page, NodePage) and depth < _DEEPEST_TREE:
            entries = sum(child.entries for child in page.children)
            if told is not None and (told.first, told.entries) != (page.children[0].first, entries):
                raise self._damaged(reference, "holds another page than the one referred to")
            self.nodes[page.children] = reference
            for child in page.children:
                if before < wanted.stop and before + child.entries > wanted.start:
                    yield from self._leaves_below(child.page, child, depth + 1, before, wanted)
                before += child.entries
        else:
            raise self._misplaced(reference)

    def items(self, entry: Entry) -> Iterator[Item]:
        """Yield the content items of a file, from its own list or its item pages."""
        if entry.item_pages is None:
            yield from entry.items
        else:
            yield from self._items_below(entry.item_pages, entry.size, 0)

    def _items_below(self, reference: PageRef, length: int, depth: int) -> Iterator[Item]:
        """Yield items of exactly ``length`` bytes in all."""
        page = self.page(reference)
        if not isinstance(page, ItemsPage) or depth > _DEEPEST_TREE:
            raise self._misplaced(reference)
        pieces = page.children or page.items
        if sum(piece.length for piece in pieces) != length:
            raise self._damaged(reference, "holds a content list of another length than the file's")
        yield from page.items
        for child in page.children:
            yield from self._items_below(child.page, child.length, depth + 1)

    def volumes(self) -> Iterator[Volume]:
        """Yield every volume the backup needs, each once."""
        inline = self._opened.manifest.volumes
        yield from inline
        known = {volume[:3] for volume in inline}
        last: Volume | None = None
        for reference in self._opened.manifest.volume_pages:
            page = self.page(reference)
            if not isinstance(page, VolumesPage):
                raise self._misplaced(reference)
            for volume in page.volumes:
                if volume[:3] in known or (last is not None and volume[:3] <= last[:3]):
                    raise self._damaged(reference, "names a volume twice or out of order")
                last = volume
                yield volume

    def _misplaced(self, reference: PageRef) -> CorruptedBackupError:
        return self._damaged(reference, "holds a page of the wrong kind")

    def _damaged(self, reference: PageRef, problem: str) -> CorruptedBackupError:
        name = self._opened.volume(INDEX, reference.segment)
        return CorruptedBackupError(f"{name} {problem}.", name)


def missing_volumes(storage: Storage, opened: OpenedBackup, needed: set[Volume]) -> list[tuple[str, str]]:
    """Return (object name, what is wrong) for every needed volume that is missing or of another size.

    Costs LIST requests only.
    """
    return wrong_volumes(listed_sizes(storage, opened), opened, needed)


def listed_sizes(storage: Storage, opened: OpenedBackup) -> dict[str, int]:
    """Return the size of every object of the backup's chain by its name."""
    return {found.name: found.size for found in storage.list(opened.prefix)}


def wrong_volumes(
    sizes: Mapping[str, int], opened: OpenedBackup, needed: set[Volume]
) -> list[tuple[str, str]]:
    """Return what :func:`missing_volumes` does, of a chain that has been listed."""
    wrong = []
    for volume in sorted(needed):
        name = volume_name(opened.prefix, volume.backup, volume.kind, volume.number)
        size = sizes.get(name)
        if size is None:
            wrong.append((name, "is missing"))
        elif size != volume.size:
            wrong.append((name, f"has {size} bytes instead of {volume.size}"))
    return wrong
