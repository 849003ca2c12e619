# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Units of size."""

from __future__ import annotations

MEBIBYTE = 1 << 20
"""Bytes; what the API's ``file_size`` counts in."""
