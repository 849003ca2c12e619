# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The product's verbs over state, jobs and storages (docs/architecture.md)."""
