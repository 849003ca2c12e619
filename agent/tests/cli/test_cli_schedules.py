# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``papi-backup schedule preview``: what it prints, and what it refuses."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from papi_backup.cli import main
from papi_backup.model.schedule import BackupConfig, Schedule
from papi_backup.model.secret import Secret
from papi_backup.model.storage import S3Storage
from papi_backup.state.store import Store

Run = Callable[..., tuple[int, str, str]]
LINE = re.compile(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun) \d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d(  (full|inc))?")


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Preview on a host in Rome whose minute is 5; returns exit status, standard output, standard error."""
    file = tmp_path / "agent.toml"
    file.write_text(
        f'state_dir = "{tmp_path}/state"\nhost_name = "web1.example"\ntimezone = "Europe/Rome"\n'
        f'[api]\nsocket = "{tmp_path}/agent.sock"\n'
    )
    sundays = Schedule("weekly", time_list=(0,), time_run=(2,))
    with Store.open(tmp_path / "state") as store:
        storage = store.storages.add(S3Storage("bucket", "id", Secret("s"), "b", 32)).storage_id
        daily = Schedule("daily", time_run=(2,))
        store.configs.add(BackupConfig("system", storage, full=sundays, inc=daily))
        store.configs.add(BackupConfig("off", storage))
        store.configs.add(BackupConfig("broken", storage, inc=Schedule("hourly", time_list=(99,))))

    def runner(*arguments: object) -> tuple[int, str, str]:
        status = main(["--config", str(file), "schedule", "preview", *map(str, arguments)])
        output = capsys.readouterr()
        return status, output.out, output.err

    return runner


def test_a_configuration_is_previewed_with_its_types_and_in_this_hosts_zone_and_minute(run: Run) -> None:
    assert run("system", "--from", "2026-03-28", "--count", 3) == (
        0,
        "Sat 2026-03-28 02:05:00+01:00  inc\n"
        "Sun 2026-03-29 03:00:00+02:00  full\n"
        "Mon 2026-03-30 02:05:00+02:00  inc\n",
        "",
    )


def test_another_zone_shows_the_same_runs_differently(run: Run) -> None:
    assert run("system", "--from", "2026-03-28", "--count", 2, "--timezone", "Asia/Kolkata")[1] == (
        "Sat 2026-03-28 06:35:00+05:30  inc\nSun 2026-03-29 06:30:00+05:30  full\n"
    )


def test_parameters_by_hand_run_in_this_hosts_zone_and_minute(run: Run) -> None:
    given = ("--period", "weekly", "--time-list", "1,3", "--time-run", "4", "--from", "2026-01-01")
    assert run(*given, "--count", 2)[1] == "Mon 2026-01-05 04:05:00+01:00\nWed 2026-01-07 04:05:00+01:00\n"


def test_parameters_by_hand_run_in_the_zone_that_is_given(run: Run) -> None:
    given = ("--period", "daily", "--from", "2026-04-04", "--count", 2, "--timezone", "Australia/Sydney")
    assert run(*given)[1] == "Sat 2026-04-04 00:05:00+11:00\nSun 2026-04-05 00:05:00+11:00\n"


def test_a_run_at_the_given_date_itself_is_told(run: Run) -> None:
    given = ("--period", "hourly", "--minute", "0", "--count", 1, "--from")
    assert run(*given, "2026-01-01 07:00")[1] == "Thu 2026-01-01 07:00:00+01:00\n"
    assert run(*given, "2026-10-25 02:00:00+01:00")[1] == "Sun 2026-10-25 03:00:00+01:00\n"
    assert run(*given, "2026-10-25 02:00:00+02:00")[1] == "Sun 2026-10-25 02:00:00+02:00\n"


def test_ten_runs_from_now_are_told_unless_asked_otherwise(run: Run) -> None:
    lines = run("system")[1].splitlines()
    assert len(lines) == 10
    assert all(LINE.fullmatch(line) for line in lines)


@pytest.mark.parametrize("given", [("off",), ("--period", "deactivated")], ids=str)
def test_what_never_runs_is_said_to(run: Run, given: tuple[str, ...]) -> None:
    assert run(*given) == (0, "nothing is scheduled\n", "")


REFUSED = [
    (("nothing",), "there is no backup configuration named 'nothing'"),
    (("system", "--frequency", "2"), "--frequency goes with --period"),
    (("system", "--minute", "2"), "--minute goes with --period"),
    (("broken",), "the schedules of 'broken' never run: [99] outside 0 to 23"),
    (
        ("--period", "yearly", "--time-list", "0,13"),
        "Invalid value of --time-list: 0 is not in 1-12 (months).",
    ),
    (
        ("--period", "daily", "--day-run", "1"),
        "Invalid value of --day-run: it is valid only if the period is yearly.",
    ),
]


@pytest.mark.parametrize(("given", "reason"), REFUSED, ids=[" ".join(row[0]) for row in REFUSED])
def test_what_makes_no_sense_is_one_line_on_standard_error(
    run: Run, given: tuple[str, ...], reason: str
) -> None:
    assert run(*given) == (1, "", f"papi-backup: {reason}\n")


WRONG = [
    (),
    ("system", "--period", "daily"),
    ("--period", "fortnightly"),
    ("--period", "daily", "--frequency", "0"),
    ("--period", "daily", "--frequency", "367"),
    ("--period", "daily", "--time-run", "24"),
    ("--period", "yearly", "--day-run", "32"),
    ("--period", "daily", "--minute", "60"),
    ("--period", "daily", "--count", "0"),
    ("--period", "daily", "--timezone", "Nowhere/Town"),
    ("--period", "daily", "--from", "yesterday"),
]


@pytest.mark.parametrize("given", WRONG, ids=str)
def test_a_wrong_command_line_is_status_2(run: Run, given: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(*given)
    assert ended.value.code == 2
