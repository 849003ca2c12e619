# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The extension field ``next_runs`` of list_backup_config and get_backup_config (docs/schedules.md)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from running_api import RunningApi

from papi_backup.model.schedule import BackupConfig, Schedule

Fields = dict[str, Any]

DAILY = Schedule("daily", time_run=(2,))


def schedule(api: RunningApi, full: Schedule, inc: Schedule) -> None:
    config = api.world.store.configs.get(1)
    api.world.store.configs.update(replace(config, full=full, inc=inc))


def listed(api: RunningApi, **parameters: str) -> tuple[list[str], list[str]]:
    """Return the next runs of full and incremental as list_backup_config tells them."""
    (status,) = cast("list[Fields]", api.get("backup-config/list", **parameters).data)
    return status["full"]["next_runs"], status["inc"]["next_runs"]


def described(api: RunningApi, **parameters: str) -> tuple[list[str], list[str]]:
    """Return them as get_backup_config tells them."""
    answer = cast("Fields", api.get("backup-config/get", backup_name="system", **parameters).data)
    return answer["full"]["next_runs"], answer["inc"]["next_runs"]


def test_both_methods_tell_the_same_runs_in_the_asked_zone(api: RunningApi) -> None:
    for zone in ("Europe/Rome", "Asia/Kolkata", "UTC"):
        assert listed(api, timezone=zone) == described(api, timezone=zone)
    assert listed(api) == described(api) == described(api, timezone="Europe/Rome")
    assert described(api, timezone="UTC")[1][0] == "2026-03-02 01:37:00"


def test_a_full_takes_the_place_of_an_incremental(api: RunningApi) -> None:
    schedule(api, Schedule("weekly", time_list=(2,), time_run=(2,)), DAILY)  # 3 March 2026 is a Tuesday
    full, inc = listed(api)
    assert full == ["2026-03-03 02:37:00", "2026-03-10 02:37:00", "2026-03-17 02:37:00"]
    assert inc == ["2026-03-02 02:37:00", "2026-03-04 02:37:00", "2026-03-05 02:37:00"]


def test_a_schedule_that_does_not_run_has_no_next_runs(api: RunningApi) -> None:
    schedule(api, Schedule(), Schedule("yearly", time_list=(2,), day_run=(30,)))
    assert listed(api) == described(api) == ([], [])


def test_a_state_with_numbers_out_of_bounds_is_still_listed(api: RunningApi) -> None:
    schedule(api, DAILY, Schedule("hourly", time_list=(99,)))
    assert listed(api) == ([], [])


def test_the_run_in_the_hour_that_comes_twice_is_told_by_its_first_time(api: RunningApi) -> None:
    schedule(api, Schedule("yearly", time_list=(10,), day_run=(25,), time_run=(2,)), Schedule())
    assert listed(api)[0][0] == "2026-10-25 02:37:00"
    assert listed(api, timezone="UTC")[0][0] == "2026-10-25 00:37:00"


def test_in_a_zone_where_it_falls_into_the_second_of_two_hours_the_date_carries_its_offset(
    api: RunningApi,
) -> None:
    # 07:37 in Rome is 01:37 in New York for the second time: there the clocks change a week later.
    schedule(api, Schedule("yearly", time_list=(11,), time_run=(7,)), Schedule())
    assert listed(api)[0][0] == "2026-11-01 07:37:00"
    assert listed(api, timezone="America/New_York")[0][0] == "2026-11-01 01:37:00-05:00"


def test_xml_tells_them_as_elements(api: RunningApi) -> None:
    xml = api.get("backup-config/get.xml", backup_name="system").xml
    found = [element.text for element in xml.findall("data/inc/next_runs/element")]
    assert found == described(api)[1]


def test_a_dry_run_does_not_compare_them(api: RunningApi) -> None:
    answer = api.post("backup-config/del", backup_id=1, dry_run=1).data
    assert isinstance(answer, dict)
    before = answer["before"]
    assert isinstance(before, dict)
    assert "next_runs" not in before["full"]


def test_a_configuration_made_over_the_api_is_told_with_its_runs(api: RunningApi) -> None:
    api.post("backup-config/add", backup_name="new", storage_id=1, schedule_inc_period="hourly")
    assert isinstance(api.world.store.configs.by_name("new"), BackupConfig)
    answer = api.get("backup-config/get", backup_name="new").data
    assert isinstance(answer, dict)
    inc = answer["inc"]
    assert isinstance(inc, dict)
    assert inc["next_runs"] == ["2026-03-01 13:37:00", "2026-03-01 14:37:00", "2026-03-01 15:37:00"]
