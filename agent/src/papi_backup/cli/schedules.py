# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``papi-backup schedule preview``: when backups will run (docs/schedules.md)."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from papi_backup.api.checks import UnfitError
from papi_backup.api.fields import CONFIG_FIELDS
from papi_backup.api.kinds import Date, Integer, Kind, Zone
from papi_backup.cli.parser import Commands, Parser
from papi_backup.config import load_settings
from papi_backup.model.errors import InvalidParameterError
from papi_backup.model.schedule import PERIODS, Schedule
from papi_backup.scheduler.schedule import minute_of, runs
from papi_backup.scheduler.upcoming import planned_runs
from papi_backup.services.schedules import checked_schedule
from papi_backup.state.store import Store

_STEM = "schedule_full_"
_KINDS = {parameter.name: parameter.kind for parameter in CONFIG_FIELDS}
_FIELDS = ("frequency", "time_list", "day_run", "time_run")
_BY_HAND = (*_FIELDS, "minute")
"""Options that go with ``--period`` only."""


def add_commands(commands: Commands[Parser]) -> None:
    """Add ``schedule preview``."""
    schedule = commands.add_parser("schedule", help="tell what schedules do")
    actions = schedule.add_subparsers(required=True, metavar="ACTION")
    preview = actions.add_parser(
        "preview", help="print the next runs of a configuration, or of parameters given by hand"
    )
    subject = preview.add_mutually_exclusive_group(required=True)
    subject.add_argument("name", nargs="?", metavar="NAME", help="a configuration of this agent")
    subject.add_argument("--period", choices=PERIODS, help="parameters by hand, as in the API")
    for field in _FIELDS:
        preview.add_argument(_option(field), type=_reader(_KINDS[_STEM + field]), metavar=_metavar(field))
    preview.add_argument(
        "--minute", type=_reader(Integer(0, 59)), metavar="M", help="with --period; default: this host's"
    )
    preview.add_argument(
        "--count", type=_reader(Integer(1, 10_000)), default=10, metavar="N", help="default: %(default)s"
    )
    preview.add_argument("--from", dest="since", type=_reader(Date()), metavar="DATE", help="default: now")
    preview.add_argument(
        "--timezone",
        type=_reader(Zone()),
        metavar="ZONE",
        help="with NAME: of what is printed; with --period: of the schedule; default: the agent's",
    )
    preview.set_defaults(run=_preview)


def _option(field: str) -> str:
    return f"--{field.replace('_', '-')}"


def _metavar(field: str) -> str:
    return "N" if field == "frequency" else "LIST"


def _reader(kind: Kind) -> Callable[[str], Any]:
    """Read an option as the API reads the parameter."""

    def read(text: str) -> object:
        try:
            return kind.parse([text])
        except UnfitError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return read


def _preview(options: argparse.Namespace) -> None:
    lines = _of_configuration(options) if options.period is None else _by_hand(options)
    printed = False
    for line in islice(lines, options.count):
        print(line)
        printed = True
    if not printed:
        print("nothing is scheduled")


def _of_configuration(options: argparse.Namespace) -> Iterator[str]:
    useless = next((field for field in _BY_HAND if getattr(options, field) is not None), None)
    if useless:
        raise InvalidParameterError(f"{_option(useless)} goes with --period", useless)
    settings = load_settings(options.config)
    with Store.open(settings.state_dir) as store:
        config = store.configs.by_name(options.name)
    shown_in = options.timezone or settings.zone
    after = _just_before(options, shown_in)
    minute = minute_of(settings.host_name)
    try:
        for run in planned_runs(config.full, config.inc, after, settings.zone, minute):
            yield f"{_shown(run.instant.astimezone(shown_in))}  {run.backup_type}"
    except ValueError as error:
        raise InvalidParameterError(f"the schedules of {options.name!r} never run: {error}") from error


def _by_hand(options: argparse.Namespace) -> Iterator[str]:
    schedule = _checked(options)
    zone, minute = options.timezone, options.minute
    if zone is None or minute is None:
        settings = load_settings(options.config)
        zone = settings.zone if zone is None else zone
        minute = minute_of(settings.host_name) if minute is None else minute
    for run in runs(schedule, _just_before(options, zone), zone, minute):
        yield _shown(run)


def _checked(options: argparse.Namespace) -> Schedule:
    given = {field: value for field in _FIELDS if (value := getattr(options, field)) is not None}
    try:
        return checked_schedule("full", Schedule(period=options.period, **given))
    except InvalidParameterError as error:
        option = _option(error.parameter.removeprefix(_STEM))
        raise InvalidParameterError(error.message.replace(f"'{error.parameter}'", option), option) from None


def _just_before(options: argparse.Namespace, zone: ZoneInfo) -> datetime:
    """Return what runs are later than: those at the given date itself are told."""
    since: datetime = datetime.now(UTC) if options.since is None else options.since.earliest(zone)
    return since - timedelta(seconds=1)


def _shown(run: datetime) -> str:
    return f"{run:%a} {run.isoformat(' ', 'seconds')}"
