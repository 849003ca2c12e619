# -*- coding: utf-8 -*-
# SPDX-FileCopyrightText: papi.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options to wait for a job; pairs with WAIT in module_utils/_argspec.py."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation of waiting."""

    DOCUMENTATION = r"""
options:
  wait:
    description:
      - Whether to wait until the job has ended.
      - The agent owns the job. It goes on when the connection is lost, when the wait times out, and when the play is stopped.
      - With V(false) the module returns the job as it was queued; look at it with M(papi.backup.backup_job_info).
    type: bool
    default: true
  wait_timeout:
    description:
      - Seconds to wait at most; V(0) waits without limit.
      - When they are over, the task fails and returns the job, which goes on.
    type: int
    default: 86400
  wait_sleep:
    description:
      - Seconds between two looks at the job, at most. The first looks follow each other more closely.
    type: float
    default: 5.0
"""
