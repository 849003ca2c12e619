# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Object names: what a LIST alone must tell (docs/format.md, "Objects and their names")."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from papi_backup.model.catalog import CatalogEntry
from papi_backup.model.errors import InvalidParameterError
from papi_backup.model.names import MAXIMUM_ESCAPED, escape, unescape

__all__ = [
    "CATALOG",
    "CONTENT",
    "DATA",
    "INDEX",
    "MANIFEST",
    "MAXIMUM_ESCAPED",
    "TEMPORARY",
    "catalog_name",
    "catalog_prefix",
    "chain_prefix",
    "data_prefix",
    "escape",
    "escape_host",
    "parse_catalog_name",
    "unescape",
    "unescape_host",
    "volume_name",
]

CATALOG = "catalog/"
DATA = "data/"
TEMPORARY = "tmp/"
INDEX = "i"
CONTENT = "d"
MANIFEST = "m"

_LOCALHOST = "localhost"
_YEARS = range(1970, 9999)
"""Names of other years are none: the last and the first ones cannot be told in every time zone."""
_DATE = "%Y%m%dT%H%M%SZ"
_CATALOG_FILE = re.compile(
    r"(?P<date>[0-9]{8}T[0-9]{6}Z)-(?P<type>full|inc)-(?P<protection>enc|raw)"
    r"-(?P<chain>[0-9a-f]{16})-(?P<backup>[0-9a-f]{16})-(?P<instance>[0-9a-f]{16})"
    r"-(?P<size>[1-9][0-9]{0,17})\.v(?P<version>[1-9][0-9]{0,3})",
    re.ASCII,
)


def escape_host(host_name: str) -> str:
    """Return the escaped, lower-cased host name.  Raises InvalidParameterError; ``localhost`` is refused."""
    lowered = host_name.lower()
    if lowered == _LOCALHOST:
        raise InvalidParameterError("The host name 'localhost' names no particular host; set host_name.")
    return escape(lowered)


def unescape_host(component: str) -> str | None:
    """Return the host name behind an escaped component, or None if :func:`escape_host` never made it."""
    name = unescape(component)
    return None if name is None or name != name.lower() or name == _LOCALHOST else name


def catalog_prefix(host_name: str, backup_name: str = "") -> str:
    """Return the prefix below which a host's manifests (of one backup name) are listed."""
    prefix = f"{CATALOG}{escape_host(host_name)}/"
    return f"{prefix}{escape(backup_name)}/" if backup_name else prefix


def chain_prefix(host_name: str, backup_name: str, chain: str) -> str:
    """Return the prefix of every volume of a chain."""
    return f"{data_prefix(host_name, backup_name)}{chain}/"


def data_prefix(host_name: str, backup_name: str) -> str:
    """Return the prefix of every chain of a backup name."""
    return f"{DATA}{escape_host(host_name)}/{escape(backup_name)}/"


def volume_name(prefix: str, backup: str, kind: str, number: int) -> str:
    """Return a volume's object name; ``prefix`` is :func:`chain_prefix`, ``kind`` ``i`` or ``d``."""
    return f"{prefix}{backup}/{kind}/{number // 1000}/{number}"


def catalog_name(entry: CatalogEntry) -> str:
    """Return the manifest's name below ``catalog/``: host, backup name and file, the MAC's context."""
    date = entry.date.astimezone(UTC).strftime(_DATE)
    protection = "enc" if entry.encrypted else "raw"
    return (
        f"{escape_host(entry.host_name)}/{escape(entry.backup_name)}/"
        f"{date}-{entry.backup_type}-{protection}-{entry.chain}-{entry.backup}-{entry.instance}"
        f"-{entry.manifest_size}.v1"
    )


def parse_catalog_name(path: str, size: int | None) -> CatalogEntry | None:
    """Take apart a name below ``catalog/``; None if it is no manifest, or not of the size it names.

    A ``size`` of None asks for the name alone, whatever the object's size is.
    A name of another version comes back with ``readable=False``: listed, never deleted.
    """
    parts = path.split("/")
    if len(parts) != 3:
        return None
    host_name, backup_name = unescape_host(parts[0]), unescape(parts[1])
    match = _CATALOG_FILE.fullmatch(parts[2])
    if host_name is None or backup_name is None or match is None:
        return None
    if size is not None and int(match["size"]) != size:
        return None
    try:
        date = datetime.strptime(match["date"], _DATE).replace(tzinfo=UTC)
    except ValueError:
        return None
    if date.year not in _YEARS:
        return None
    return CatalogEntry(
        host_name=host_name,
        backup_name=backup_name,
        date=date,
        backup_type="full" if match["type"] == "full" else "inc",
        encrypted=match["protection"] == "enc",
        chain=match["chain"],
        backup=match["backup"],
        instance=match["instance"],
        manifest_size=int(match["size"]),
        path=path,
        readable=match["version"] == "1",
    )
