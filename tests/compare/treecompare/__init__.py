# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads and compares trees of files.  Standard library only; knows nothing of the product."""
