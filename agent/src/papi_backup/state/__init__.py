# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the agent remembers: SQLite, secrets sealed at rest, accounts (docs/architecture.md)."""
