# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pages of an S3 listing.  A page that contradicts itself is refused: it must not pass for "empty"."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from papi_backup.engine.storage.s3_place import S3Place, S3RefusalError
from papi_backup.model.errors import TransferError


def pages(place: S3Place, prefix: str, delimiter: str = "") -> Iterator[dict[str, Any]]:
    """Yield the answers of ``list_objects_v2`` for the keys below ``prefix`` (a name, not a key)."""
    doing = f"listing {prefix or 'everything'}"
    wanted = place.key(prefix)
    extra = {"Delimiter": delimiter} if delimiter else {}
    tokens: set[str] = set()
    while True:
        try:
            page = place.call("list_objects_v2", doing, Prefix=wanted, **extra)
        except S3RefusalError as error:
            raise place.refusal(error, doing) from error
        _check(page, wanted, f"{place.server}: {doing}")
        yield page
        if not page["IsTruncated"]:
            return
        token = page["NextContinuationToken"]
        if token in tokens:
            raise TransferError(f"{place.server}: {doing}: the listing goes in a circle")
        tokens.add(token)
        extra["ContinuationToken"] = token


def _check(page: dict[str, Any], wanted: str, doing: str) -> None:
    """Raise :class:`TransferError` unless the page counts and continues as it says."""
    objects, prefixes = page.get("Contents", []), page.get("CommonPrefixes", [])
    if "IsTruncated" not in page or (page["IsTruncated"] and not page.get("NextContinuationToken")):
        raise TransferError(f"{doing}: the listing is cut short")
    if page.get("KeyCount", len(objects) + len(prefixes)) != len(objects) + len(prefixes):
        raise TransferError(
            f"{doing}: {page['KeyCount']} entries announced, {len(objects) + len(prefixes)} there"
        )
    for key in (*(item["Key"] for item in objects), *(item["Prefix"] for item in prefixes)):
        if not key.startswith(wanted):
            raise TransferError(f"{doing}: {key!r} was not asked for")
