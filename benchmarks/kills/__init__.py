# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs and agents that are killed at any moment, and what the storage and the state then hold."""
