# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs in worker processes, and quick questions through warm query processes (docs/architecture.md)."""
