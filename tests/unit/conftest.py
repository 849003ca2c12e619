# -*- coding: utf-8 -*-
# SPDX-FileCopyrightText: papi.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the collection importable under plain pytest too, and gives every test a fake agent.

ansible-test brings its own import machinery; then nothing is added here.
"""

from __future__ import annotations

import atexit
import importlib
import os
import sys
import tempfile

import pytest


def _make_importable():
    try:
        importlib.import_module("ansible_collections.papi.backup.plugins.module_utils._errors")
        return
    except ImportError:
        pass
    root = tempfile.TemporaryDirectory(prefix="papi-backup-units-")
    atexit.register(root.cleanup)
    namespace = os.path.join(root.name, "ansible_collections", "papi")
    os.makedirs(namespace)
    repository = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    os.symlink(repository, os.path.join(namespace, "backup"))
    sys.path.insert(0, root.name)
    for name in [name for name in sys.modules if name.split(".")[0] == "ansible_collections"]:
        del sys.modules[name]
    importlib.invalidate_caches()


_make_importable()


@pytest.fixture
def agent():
    """A fake agent on a unix socket; its directory is short, as socket paths must be."""
    fake_agent = importlib.import_module("ansible_collections.papi.backup.tests.unit.fake_agent")
    with tempfile.TemporaryDirectory(prefix="papi-") as directory:
        with fake_agent.FakeAgent(os.path.join(directory, "agent.sock")) as running:
            yield running
