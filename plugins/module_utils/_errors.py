# -*- coding: utf-8 -*-
# SPDX-FileCopyrightText: papi.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong between a module and its agent.

Private to papi.backup: it may change in any release.
"""

from __future__ import annotations

import re

ERROR_NAMES = {
    3000: "INTERNAL_ERROR",
    3001: "PERMISSION_DENIED",
    3002: "CANNOT_SWITCH_TO_KEY",
    3003: "NO_KEY_SELECTED",
    3004: "AUTHENTICATION_ERROR",
    3005: "INVALID_PARAMETER",
    3007: "NO_SUCH_ENTITY",
    3013: "NOT_YET_AVAILABLE",
    3014: "TOO_MANY_REQUESTS",
    3015: "HOSTED_BACKEND_UNAVAILABLE",
    4000: "INVALID_CREDENTIAL_STORAGE",
    4001: "INVALID_STORAGE",
    4002: "INVALID_DECRYPTION_KEY",
    4003: "DECRYPTION_KEY_MISSING",
    4004: "CORRUPTED_BACKUP",
    4005: "TRANSFER_FAILED",
}

AUTHENTICATION_ERROR = 3004
NO_SUCH_ENTITY = 3007

# On these a client logs in again; whoever is refused so is told no version either.
SESSION_ERRORS = (3001, 3002, 3003, AUTHENTICATION_ERROR)

_JOB_ERROR = re.compile(r"^\[(\d{4})\]\s*")


class BackupError(Exception):
    """Base of all: a message for the user; ``attempted`` says what the module was doing.

    ``versions_matter`` tells whether an agent of another version may be the reason.
    """

    versions_matter = False

    def __init__(self, message):
        super().__init__(message)
        self.message = message
        self.attempted = ""

    def while_attempting(self, what):
        """Name what was attempted; the innermost name stays."""
        self.attempted = self.attempted or what
        return self

    def facts(self):
        """Return what the failed task shows beside its message."""
        return {}

    def __str__(self):
        if self.attempted:
            return "Could not {0}: {1}".format(self.attempted, self.message)
        return self.message


class ConnectionFailure(BackupError):
    """The agent could not be talked to; the message names the socket or URL and how to mend it."""


class UnexpectedAnswer(ConnectionFailure):
    """What answered is no agent, or one that does not know what it was asked."""

    versions_matter = True


class UsageError(BackupError):
    """The options contradict each other, or what is there, in a way an argument spec cannot say."""


class WaitTimeout(BackupError):
    """A job did not end within ``wait_timeout``; it goes on."""


class AgentError(BackupError):
    """The agent refused, in its own words, or a job of it failed."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code
        self.name = ERROR_NAMES.get(code, "UNKNOWN_ERROR")
        self.versions_matter = code < 4000 and code not in SESSION_ERRORS

    def facts(self):
        """Return the papi error code and its name."""
        return {"error_code": self.code, "error_name": self.name}

    def __str__(self):
        return "{0} (error {1} {2})".format(super().__str__(), self.code, self.name)


def job_error(job):
    """Return the error of a failed ``job``: its ``error_code``, else the ``[4002]`` its description starts with."""
    description = job.get("description") or "the agent gave no description"
    found = _JOB_ERROR.match(description)
    code = int(job.get("error_code") or 0) or (int(found.group(1)) if found else 3000)
    return AgentError(code, description[found.end():] if found else description)
