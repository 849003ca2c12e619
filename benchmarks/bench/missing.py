# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What cannot be had on this machine."""

from __future__ import annotations


class MissingError(Exception):
    """A tool, a server or room is missing; the message says what, and how to get it where that is known."""
