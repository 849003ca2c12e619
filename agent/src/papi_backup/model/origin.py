# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Web origins in one way of writing, so that equal ones are equal texts."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]{0,251}[a-z0-9_])?")


def normal_origin(text: str) -> str:
    """Return ``scheme://host:port``, lower-case, with the port spelled out; "" for what is no web origin.

    ``null``, which browsers send for pages that have no origin, is none.
    """
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ""
    beyond = (parts.username, parts.password) != (None, None) or parts.path or parts.query or parts.fragment
    if parts.scheme not in _PORTS or beyond or "?" in text or "#" in text or port == 0:
        return ""
    host = _normal_host(host)
    return f"{parts.scheme}://{host}:{port or _PORTS[parts.scheme]}" if host else ""


def _normal_host(host: str) -> str:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host if _HOST.fullmatch(host) else ""
    return f"[{address.compressed}]" if address.version == 6 else str(address)
