# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/schedules.md says what the agent does: every command on the page prints what the page shows."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from papi_backup.cli import main
from papi_backup.model.schedule import PERIODS
from papi_backup.scheduler.schedule import minute_of

PAGE = (Path(__file__).parents[3] / "docs" / "schedules.md").read_text()
PROMPT = "$ papi-backup "


def commands_on_the_page() -> list[tuple[str, str]]:
    """Return each command and what the page shows below it."""
    blocks = re.findall(r"^```console\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    runs = [run for block in blocks for run in block.split(PROMPT)[1:]]
    return [(command, output) for command, unused, output in (run.partition("\n") for run in runs)]


COMMANDS = commands_on_the_page()


@pytest.mark.parametrize(("command", "output"), COMMANDS, ids=[command for command, unused in COMMANDS])
def test_a_command_on_the_page_prints_what_the_page_shows(
    command: str, output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(shlex.split(command)) == 0
    assert capsys.readouterr().out == output


def test_the_page_shows_every_period_that_runs() -> None:
    shown = {match for command, unused in COMMANDS for match in re.findall(r"--period (\w+)", command)}
    assert shown == set(PERIODS) - {"deactivated"}


def test_the_minutes_on_the_page_are_those_of_the_hosts() -> None:
    told = re.search(r"Examples: `(.+?)` (\d+),\s+`(.+?)` (\d+)\.", PAGE)
    assert told is not None
    assert {told[1]: minute_of(told[1]), told[3]: minute_of(told[3])} == {
        told[1]: int(told[2]),
        told[3]: int(told[4]),
    }
