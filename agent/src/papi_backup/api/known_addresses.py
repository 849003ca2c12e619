# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses that a token, a session or a password came from since the agent's start.

They decide whose connections a busy listener looks at first and nothing else.
"""

from __future__ import annotations

from collections import OrderedDict

_MOST = 1024


class KnownAddresses:
    """Those of one listener; to be used in its event loop alone."""

    def __init__(self) -> None:
        """None is known yet."""
        self._addresses: OrderedDict[str, None] = OrderedDict()

    def note(self, address: str) -> None:
        """Remember where a caller who is known came from."""
        self._addresses[address] = None
        self._addresses.move_to_end(address)
        if len(self._addresses) > _MOST:
            self._addresses.popitem(last=False)

    def __contains__(self, address: str) -> bool:
        return address in self._addresses
