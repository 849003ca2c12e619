# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine: files to volumes and back (design sections 4 and 5)."""
