# -*- coding: utf-8 -*-
# SPDX-FileCopyrightText: papi.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The frame around every module: parameters in, one result out.

Only run_module() ends a module; everything below it raises BackupError.
Private to papi.backup: it may change in any release.
"""

from __future__ import annotations

from contextlib import contextmanager

from ansible_collections.papi.backup.plugins.module_utils import _resources
from ansible_collections.papi.backup.plugins.module_utils._client import Client, credentials_from, masked
from ansible_collections.papi.backup.plugins.module_utils._connection import transport_from
from ansible_collections.papi.backup.plugins.module_utils._errors import BackupError
from ansible_collections.papi.backup.plugins.module_utils._version import mismatch


class Task:
    """One run of a module: what is asked (``params``), whom to ask (``client``), what came out (``result``)."""

    def __init__(self, module):
        self.params = module.params
        self.check_mode = module.check_mode
        self.result = {"changed": False}
        self.client = Client(transport_from(module.params), credentials_from(module.params), module.check_mode)
        self.warn = module.warn
        self._looked_at_version = False

    def given(self, *names):
        """Return the named options that the user gave."""
        return {name: self.params[name] for name in names if self.params[name] is not None}

    @contextmanager
    def attempting(self, what):
        """Let errors from inside say that ``what`` was attempted."""
        try:
            yield
        except BackupError as error:
            raise error.while_attempting(what)

    def change(self, path, params, shape=dict):
        """The one door to every change of the agent's configuration.

        The agent's dry run decides what would change; it is done for real only outside of check mode
        and only if something changes.  Returns the agent's account of it, both sides given their ``shape``.
        """
        change = self.client.plan_change(path, params)
        self.warn_of_another_version()
        change.before, change.after = shape(change.before), shape(change.after)
        self.record(change.changed, change.before, change.after)
        if change.changed and not self.check_mode:
            self.client.change(path, params)
        return change

    def warn_of_another_version(self):
        """Name a mismatch of collection and agent, once: an option that an agent does not know it ignores."""
        words = "" if self._looked_at_version else self.other_version()
        self._looked_at_version = True
        if words:
            self.warn(words)

    def other_version(self):
        """Return the sentence that names a mismatch of collection and agent, or nothing."""
        try:
            return mismatch(_resources.versions(self.client)["agent"])
        except (BackupError, KeyError, TypeError):
            return ""

    def record(self, changed, before, after):
        """Put ``changed`` and the diff into the result."""
        self.result["changed"] = changed
        self.result["diff"] = {"before": before, "after": after}

    def assume_only(self, missing):
        """Check mode only: warn that what the task builds on is not there yet."""
        self.warn(
            "{0} does not exist yet. In check mode an earlier task is assumed to create it, "
            "so the agent could not check this task in full.".format(missing)
        )

    def assume(self, before, params, missing):
        """Check mode only: predict a change without the agent, because ``missing`` is not there yet."""
        self.assume_only(missing)
        after = masked(dict(before, **params))
        self.record(True, before, after)
        return after


def run_module(spec, body):
    """Run ``body(task)`` and end the module with its result, or with the one form of failure."""
    module = spec.create_module()
    task = None
    try:
        task = Task(module)
        body(task)
    except BackupError as error:
        words = [str(error)]
        if task and error.versions_matter:
            words.append(task.other_version())
        result = task.result if task else {"changed": False}
        module.fail_json(msg=" ".join(filter(None, words)), **dict(result, **error.facts()))
    module.exit_json(**task.result)
