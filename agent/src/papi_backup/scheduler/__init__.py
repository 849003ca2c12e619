# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which backup is due when, and the thread that queues it (docs/schedules.md)."""
