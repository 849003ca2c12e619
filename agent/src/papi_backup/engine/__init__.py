# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine: files to volumes and back (docs/architecture.md, docs/design.md)."""
