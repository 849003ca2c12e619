# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ours beside restic over a long, thin line that stalls and is cut."""
