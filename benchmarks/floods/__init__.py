# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Floods of strangers at a real agent, while its owners go on calling it."""
