# -*- coding: utf-8 -*-
# SPDX-FileCopyrightText: papi.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for all modules at once."""

from __future__ import annotations

import importlib
import os

import pytest

from ansible_collections.papi.backup.plugins.module_utils._argspec import AGENT

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))))
MODULES = sorted(name[:-3] for name in os.listdir(os.path.join(ROOT, "plugins", "modules")) if name.endswith(".py"))
SECRETS = {"aws_secret_key", "encryption_key", "agent_password", "agent_token"}


def load(name):
    return importlib.import_module("ansible_collections.papi.backup.plugins.modules." + name)


def test_there_are_modules():
    assert len(MODULES) >= 10


@pytest.mark.parametrize("name", MODULES)
def test_every_module_is_in_the_action_group(name):
    with open(os.path.join(ROOT, "meta", "runtime.yml")) as stream:
        assert "    - {0}\n".format(name) in stream.read()


@pytest.mark.parametrize("name", MODULES)
def test_every_module_has_the_connection_options_and_hides_its_secrets(name):
    options = load(name).ARGUMENT_SPEC.options
    assert set(AGENT.options) <= set(options)
    for secret in SECRETS & set(options):
        assert options[secret]["no_log"] is True


@pytest.mark.parametrize("name", MODULES)
def test_every_example_uses_the_full_names(name):
    assert "papi.backup.{0}:".format(name) in load(name).EXAMPLES


@pytest.mark.parametrize("name", MODULES)
def test_every_module_has_an_integration_target(name):
    assert os.path.isfile(os.path.join(ROOT, "tests", "integration", "targets", name, "tasks", "main.yml"))
