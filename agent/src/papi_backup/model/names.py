# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of hosts and backups as one path component on a storage.

The rule of escaping is in docs/format.md, "Objects and their names".
"""

from __future__ import annotations

import re

from papi_backup.model.errors import InvalidParameterError

MAXIMUM_ESCAPED = 200
"""Bytes of one escaped host or backup name."""
_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789._-")


def escape(name: str) -> str:
    """Return ``name`` as one path component: ``[a-z0-9._-]`` kept, other bytes ``=hh``, no leading dot.

    Raises InvalidParameterError for an empty name, one over 200 escaped bytes or one without UTF-8 form.
    """
    try:
        raw = name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise InvalidParameterError("A name holds characters that UTF-8 cannot express.") from None
    parts = [chr(byte) if byte in _PLAIN else f"={byte:02x}" for byte in raw]
    if parts and parts[0] == ".":
        parts[0] = "=2e"
    escaped = "".join(parts)
    if not escaped:
        raise InvalidParameterError("A name must not be empty.")
    if len(escaped) > MAXIMUM_ESCAPED:
        raise InvalidParameterError(
            f"The name is too long: {len(escaped)} bytes when escaped for the storage, "
            f"at most {MAXIMUM_ESCAPED} are possible."
        )
    return escaped


def unescape(component: str) -> str | None:
    """Return the name behind an escaped component, or None if :func:`escape` would not have made it."""
    raw = bytearray()
    position = 0
    while position < len(component):
        character = component[position]
        if character == "=":
            digits = component[position + 1 : position + 3]
            if not re.fullmatch("[0-9a-f]{2}", digits, re.ASCII):
                return None
            raw.append(int(digits, 16))
            position += 3
        elif ord(character) in _PLAIN:
            raw.append(ord(character))
            position += 1
        else:
            return None
    name = raw.decode("utf-8", "surrogateescape")
    if not name or len(component) > MAXIMUM_ESCAPED or escape(name) != component:
        return None
    return name
