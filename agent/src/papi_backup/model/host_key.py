# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""SSH host keys as text, ``<type> <base64>``, and their fingerprints."""

from __future__ import annotations

import base64
import hashlib

_ALGORITHMS = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256")}


def fingerprint(host_key: str) -> str:
    """Return the fingerprint as OpenSSH shows it: ``SHA256:`` and base64 without padding."""
    try:
        blob = base64.b64decode(host_key.split()[1], validate=True)
    except (IndexError, ValueError):  # of binascii, or for text that is not ASCII
        return "(not a key)"
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def same_key(one: str, other: str) -> bool:
    """Whether both name one key; comments and spacing do not count."""
    return one.split()[:2] == other.split()[:2]


def signature_algorithms(host_key: str) -> tuple[str, ...]:
    """Return the algorithms with which a server proves that it has a key of this type."""
    kind = host_key.strip().partition(" ")[0]
    return _ALGORITHMS.get(kind, (kind,))
