# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What texts must look like.  Each check returns the text, tidied, or raises :class:`UnfitError`."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import posixpath
import re
from urllib.parse import urlsplit

from papi_backup.model.errors import InvalidParameterError
from papi_backup.model.names import MAXIMUM_ESCAPED, escape

_HOST = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?", re.ASCII)
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]", re.ASCII)
_REGION = re.compile(r"[A-Za-z0-9-]{0,64}", re.ASCII)
_REQUEST_ID = re.compile(r"[!-~]{1,128}", re.ASCII)
_PREFIX_BYTES = 400
"""Leaves room for the longest name below it: a whole S3 key has at most 1,024 bytes."""


class UnfitError(Exception):
    """A value does not fit; the message follows the parameter's name and repeats no secret."""


def name(text: str) -> str:
    """A name of at most 200 bytes when escaped: it also names things on a storage (docs/format.md)."""
    no_control(text)
    if text:
        try:
            escape(text)
        except InvalidParameterError:
            raise UnfitError(
                f"it is longer than {MAXIMUM_ESCAPED} bytes when escaped for a storage"
                " (a byte outside a-z, 0-9, '.', '_' and '-' takes three)"
            ) from None
    return text


def host_name(text: str) -> str:
    """The name of a backed-up host, lower-cased."""
    lowered = text.strip().lower()
    if lowered == "localhost":
        raise UnfitError("'localhost' names no particular host")
    return name(lowered)


def no_control(text: str) -> str:
    """A text without control characters."""
    if any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in text):
        raise UnfitError("it has control characters")
    return text


def word(text: str) -> str:
    """A text without spaces and control characters."""
    if any(character.isspace() for character in no_control(text)):
        raise UnfitError("it has spaces")
    return text


def server_name(text: str) -> str:
    """A host name or an IP address."""
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        ipaddress.ip_address(bare)
    except ValueError:
        if len(text) > 253 or not _HOST.fullmatch(text):
            raise UnfitError(f"{text[:80]!r} is neither a host name nor an IP address") from None
        return text
    return bare


def absolute_path(text: str) -> str:
    """An absolute path without '..', normalised."""
    if not text.startswith("/"):
        raise UnfitError(f"{text[:80]!r} is not an absolute path")
    if "\0" in text or ".." in text.split("/"):
        raise UnfitError(f"{text[:80]!r} has '..' or a NUL in it")
    # normpath keeps two leading slashes, which POSIX lets mean something else.
    return "/" + posixpath.normpath(text).lstrip("/")


def pattern(text: str) -> str:
    """A path or glob."""
    if not text or "\0" in text:
        raise UnfitError("an empty pattern, or one with a NUL, matches nothing")
    return text


def host_key(text: str) -> str:
    """An SSH host key as ``<type> <base64>``; a comment behind it is dropped."""
    parts = text.split()
    if len(parts) < 2:
        raise UnfitError("it is not '<type> <base64>'")
    kind, encoded = parts[0], parts[1]
    try:
        blob = base64.b64decode(encoded, validate=True)
    except (ValueError, binascii.Error):
        raise UnfitError("its second part is not base64") from None
    size = int.from_bytes(blob[:4], "big")
    if blob[4 : 4 + size] != kind.encode() or len(blob) <= 4 + size:
        raise UnfitError(f"it is no key of type {kind[:40]!r}")
    return f"{kind} {encoded}"


def bucket_name(text: str) -> str:
    """The name of an S3 bucket."""
    if not _BUCKET.fullmatch(text):
        raise UnfitError("a bucket's name has 3 to 63 letters, digits, '.', '_' and '-'")
    return text


def region(text: str) -> str:
    """The name of an S3 region."""
    if not _REGION.fullmatch(text):
        raise UnfitError("a region has at most 64 letters, digits and '-'")
    return text


def prefix(text: str) -> str:
    """The prefix of all keys in a bucket."""
    no_control(text)
    if len(text.encode()) > _PREFIX_BYTES:
        raise UnfitError(f"it is longer than {_PREFIX_BYTES} bytes")
    if {".", ".."} & set(text.split("/")):
        raise UnfitError("it has '.' or '..' as a part")
    return text


def endpoint_url(text: str) -> str:
    """The address of an S3-compatible server."""
    try:
        url = urlsplit(word(text))
        usable = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        usable = False
    if not usable or url.query or url.fragment or "@" in url.netloc:
        raise UnfitError("it is not http(s)://host[:port] without user, query and fragment")
    return text.rstrip("/")


def request_id(text: str) -> str:
    """A client's own name for a call."""
    if not _REQUEST_ID.fullmatch(text):
        raise UnfitError("it is not 1 to 128 printable ASCII characters without spaces")
    return text
