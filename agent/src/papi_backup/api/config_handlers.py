# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Handlers of the methods on backup configurations."""

from __future__ import annotations

from typing import cast

from papi_backup.api.call import Answer, Call, answer_change
from papi_backup.api.parameters import Arguments
from papi_backup.api.views import config_description, config_status, config_view, steps_view, view_change
from papi_backup.model.schedule import BackupType, Period, Schedule
from papi_backup.services.configs import ConfigFields


def add_backup_config(call: Call) -> Answer:
    """Add a configuration."""
    change = call.services.configs.add(_fields(call.arguments), apply=not call.dry_run)
    return answer_change(call, view_change(change, config_view))


def update_backup_config(call: Call) -> Answer:
    """Update a configuration."""
    change = call.services.configs.update(
        call.arguments.integer("backup_id"), _fields(call.arguments), apply=not call.dry_run
    )
    return answer_change(call, view_change(change, config_view))


def delete_backup_config(call: Call) -> Answer:
    """Delete a configuration."""
    change = call.services.configs.delete(call.arguments.integer("backup_id"), apply=not call.dry_run)
    return answer_change(call, view_change(change, config_view))


def list_backup_config(call: Call) -> Answer:
    """All configurations with their last jobs and their next runs."""
    return Answer([config_status(status, call.show, call.zone) for status in call.services.configs.list()])


def get_backup_config(call: Call) -> Answer:
    """One configuration with its schedules."""
    configs = call.services.configs
    entry = configs.get(call.arguments.text("backup_name"))
    return Answer(config_description(entry, configs.next_runs(entry.config), call.show, call.zone))


def check_backup_config(call: Call) -> Answer:
    """Test a configuration: its sources and its storage."""
    backup_id, pin = call.arguments.integer("backup_id"), call.identity.is_administrator
    checked = call.services.configs.test(backup_id, pin=pin, since=call.arrived)
    return Answer(beside={"steps": steps_view(checked)})


def _fields(arguments: Arguments) -> ConfigFields:
    return ConfigFields(
        backup_name=arguments.text("backup_name"),
        storage_id=arguments.integer("storage_id"),
        full=_schedule(arguments, "full"),
        inc=_schedule(arguments, "inc"),
        encryption_key=arguments.optional_secret("encryption_key"),
        paths=arguments.optional_texts("paths"),
        excludes=arguments.optional_texts("excludes"),
    )


def _schedule(arguments: Arguments, kind: BackupType) -> Schedule:
    # The table admits nothing but periods.
    period: Period = cast("Period", arguments.text(f"schedule_{kind}_period"))
    return Schedule(
        period=period,
        frequency=arguments.integer(f"schedule_{kind}_frequency"),
        time_list=arguments.integers(f"schedule_{kind}_time_list"),
        day_run=arguments.integers(f"schedule_{kind}_day_run"),
        time_run=arguments.integers(f"schedule_{kind}_time_run"),
    )
