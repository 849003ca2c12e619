# -*- coding: utf-8 -*-
# SPDX-FileCopyrightText: papi.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The version of this collection, which modules cannot read from galaxy.yml on a target.

Private to papi.backup: it may change in any release.
"""

from __future__ import annotations

COLLECTION_VERSION = "1.0.0"


def mismatch(agent_version):
    """Return what is to be said of an agent of that version: nothing when it is the collection's own."""
    if agent_version == COLLECTION_VERSION:
        return ""
    return (
        "The agent is version {0} and the collection papi.backup is {1}. "
        "The role papi.backup.backup_agent of the collection brings the agent to its version.".format(
            agent_version, COLLECTION_VERSION
        )
    )
