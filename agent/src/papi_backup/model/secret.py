# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A string that does not show itself in logs, reprs and tracebacks."""

from __future__ import annotations

import hmac
from dataclasses import dataclass

MASK = "********"


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """Wraps a secret; :meth:`reveal` is the only way to its text."""

    _text: str

    def reveal(self) -> str:
        """Return the secret itself.  Call only where it is used."""
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(_bytes(self._text), _bytes(other._text))

    def __hash__(self) -> int:
        return hash(("papi-secret", self._text))

    def __repr__(self) -> str:
        return f"Secret({MASK!r})" if self._text else "Secret('')"

    __str__ = __repr__


def _bytes(text: str) -> bytes:
    """Any text, lone surrogates included: comparing must not raise an error that holds the secret."""
    return text.encode("utf-8", "surrogatepass")


NO_SECRET = Secret("")
