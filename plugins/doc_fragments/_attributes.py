# -*- coding: utf-8 -*-
# SPDX-FileCopyrightText: papi.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the modules of papi.backup behave."""

from __future__ import annotations


class ModuleDocFragment:
    """Attributes, for the three kinds of module."""

    # State modules.
    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying the agent or a storage.
    support: full
    details:
      - The agent itself validates the call and says what would change.
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
    support: full
    details:
      - Secrets are masked on both sides and marked as same or different.
  idempotent:
    description: When run twice in a row outside of check mode, with the same arguments, the second run changes nothing.
    support: full
  action_group:
    description: Use C(group/papi.backup.all) in C(module_defaults) to set the connection options for all modules.
    support: full
    membership:
      - papi.backup.all
  platform:
    description: Target operating systems the module works on.
    platforms: posix
    support: full
"""

    # Modules that only look.
    INFO = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying the agent or a storage.
    support: full
    details:
      - This module does not change anything.
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
    support: N/A
    details:
      - This module does not change anything.
  idempotent:
    description: When run twice in a row outside of check mode, with the same arguments, the second run changes nothing.
    support: full
    details:
      - This module does not change anything.
  action_group:
    description: Use C(group/papi.backup.all) in C(module_defaults) to set the connection options for all modules.
    support: full
    membership:
      - papi.backup.all
  platform:
    description: Target operating systems the module works on.
    platforms: posix
    support: full
"""

    # Modules that run a job.
    JOB = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying the agent or a storage.
    support: full
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
    support: none
  idempotent:
    description: When run twice in a row outside of check mode, with the same arguments, the second run changes nothing.
    support: none
    details:
      - Each run of the module runs a job.
  action_group:
    description: Use C(group/papi.backup.all) in C(module_defaults) to set the connection options for all modules.
    support: full
    membership:
      - papi.backup.all
  platform:
    description: Target operating systems the module works on.
    platforms: posix
    support: full
"""
