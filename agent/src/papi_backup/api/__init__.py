# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Backup API over HTTP: endpoint table, parameters, envelope, sessions (docs/architecture.md)."""
