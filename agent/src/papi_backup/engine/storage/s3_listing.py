# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pages of an S3 listing.  A page that contradicts itself is refused: it must not pass for "empty"."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from papi_backup.engine.storage.bounds import ListingBound
from papi_backup.engine.storage.s3_place import S3Place, S3RefusalError
from papi_backup.model.errors import TransferError

_TOLD = frozenset({"Key", "Size", "LastModified"})
_LARGEST_TOKEN = 1 << 14


def pages(place: S3Place, prefix: str, delimiter: str = "") -> Iterator[dict[str, Any]]:
    """Yield the answers of ``list_objects_v2`` for the keys below ``prefix`` (a name, not a key)."""
    doing = f"listing {prefix or 'everything'}"
    where = f"{place.server}: {doing}"
    wanted = place.key(prefix)
    extra = {"Delimiter": delimiter} if delimiter else {}
    bound = ListingBound(where)
    tokens: set[int] = set()
    while True:
        try:
            page = place.call("list_objects_v2", doing, Prefix=wanted, **extra)
        except S3RefusalError as error:
            raise place.refusal(error, doing) from error
        bound.take(_check(page, wanted, where))
        yield page
        if not page["IsTruncated"]:
            return
        token = page["NextContinuationToken"]
        if hash(token) in tokens or len(token) > _LARGEST_TOKEN:
            raise TransferError(f"{where}: the listing goes in a circle")
        tokens.add(hash(token))
        extra["ContinuationToken"] = token


def _check(page: dict[str, Any], wanted: str, doing: str) -> Sequence[str]:
    """Return the keys and prefixes of a page.

    Raises :class:`TransferError` unless it has what it says and continues as it says.  Some servers do not
    count prefixes: only fewer entries than announced are refused.
    """
    objects, prefixes = page.get("Contents", []), page.get("CommonPrefixes", [])
    if "IsTruncated" not in page or (page["IsTruncated"] and not page.get("NextContinuationToken")):
        raise TransferError(f"{doing}: the listing is cut short")
    there = len(objects) + len(prefixes)
    if page.get("KeyCount", there) > there:
        raise TransferError(f"{doing}: {page['KeyCount']} entries announced, {there} there")
    if not all(item.keys() >= _TOLD for item in objects) or not all("Prefix" in item for item in prefixes):
        raise TransferError(f"{doing}: an entry lacks its key, size or time")
    keys = [*(item["Key"] for item in objects), *(item["Prefix"] for item in prefixes)]
    for key in keys:
        if not key.startswith(wanted):
            raise TransferError(f"{doing}: {key!r} was not asked for")
    return keys
