# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parameters as the endpoint table declares them, and the arguments of one call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from zoneinfo import ZoneInfo

from papi_backup.api.checks import UnfitError
from papi_backup.api.dates import GivenDate
from papi_backup.api.kinds import Kind
from papi_backup.api.raw_parameters import RawParameters
from papi_backup.model.errors import InvalidParameterError
from papi_backup.model.secret import Secret

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a method.

    A blank value counts as absent, except with ``keeps_blank``, where it means "none" and absent means
    "as it is".  ``extension``: not in the spec, old clients do not send it (docs/api_conventions.md,
    "Extensions").
    """

    name: str
    kind: Kind
    required: bool = False
    default: object = None
    keeps_blank: bool = False
    extension: bool = False
    meaning: str = ""

    def read(self, values: list[object]) -> object:
        """Return the checked value; raises :class:`InvalidParameterError` that names the parameter."""
        blank = all(_is_blank(value) for value in values)
        if not values or (blank and not self.keeps_blank):
            if self.required:
                raise InvalidParameterError(f"Missing required field '{self.name}'.", self.name)
            return self.default
        try:
            return self.kind.parse(values)
        except UnfitError as error:
            # Not "from": what led to it may hold a secret.
            raise InvalidParameterError(f"Invalid value of '{self.name}': {error}.", self.name) from None


def _is_blank(value: object) -> bool:
    return value == [] or (isinstance(value, str) and not value.strip())


class Arguments:
    """The checked arguments of a call, by name.  Asking for another type than the table's is a bug."""

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = values

    def _get(self, name: str, kind: type[T]) -> T | None:
        value = self._values[name]
        if value is not None and not isinstance(value, kind):
            raise TypeError(f"the parameter {name} is not of type {kind.__name__}")
        return value

    def _need(self, name: str, kind: type[T]) -> T:
        value = self._get(name, kind)
        if value is None:
            raise TypeError(f"the parameter {name} has no value")
        return value

    def first_missing(self, names: Iterable[str]) -> str:
        """Return the first of ``names`` that has no value, "" when all have one."""
        return next((name for name in names if self._values[name] is None), "")

    def text(self, name: str) -> str:
        """Return a text."""
        return self._need(name, str)

    def optional_text(self, name: str) -> str | None:
        """Return a text, or None where it was not given."""
        return self._get(name, str)

    def integer(self, name: str) -> int:
        """Return a number."""
        return self._need(name, int)

    def flag(self, name: str) -> bool:
        """Return a truth value."""
        return self._need(name, bool)

    def secret(self, name: str) -> Secret:
        """Return a secret."""
        return self._need(name, Secret)

    def optional_secret(self, name: str) -> Secret | None:
        """Return a secret, or None where it was not given."""
        return self._get(name, Secret)

    def integers(self, name: str) -> tuple[int, ...]:
        """Return a list of numbers."""
        return tuple(self._need(name, tuple))

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of texts."""
        return tuple(self._need(name, tuple))

    def optional_texts(self, name: str) -> tuple[str, ...] | None:
        """Return a list of texts, or None where it was not given."""
        return self._get(name, tuple)

    def zone(self, name: str, default: ZoneInfo) -> ZoneInfo:
        """Return a timezone."""
        return self._get(name, ZoneInfo) or default

    def earliest(self, name: str, zone: ZoneInfo) -> datetime | None:
        """Return the instant of a date, the start of the day for a bare one."""
        given = self._get(name, GivenDate)
        return given.earliest(zone) if given else None

    def latest(self, name: str, zone: ZoneInfo) -> datetime | None:
        """Return the instant of a date, the end of the day for a bare one."""
        given = self._get(name, GivenDate)
        return given.latest(zone) if given else None


def read_arguments(parameters: Iterable[Parameter], raw: RawParameters) -> Arguments:
    """Check all ``parameters``; others are ignored.  Raises :class:`InvalidParameterError`."""
    return Arguments(
        {parameter.name: parameter.read(raw.get(parameter.name, [])) for parameter in parameters}
    )
