# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The types of parameters: from what arrived to a checked value (docs/api_conventions.md, "Parameters").

What arrived is a list of values, one for each time the field was there: texts from a query or form, any
JSON value from a JSON body.  ``parse`` raises :class:`UnfitError`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar
from zoneinfo import ZoneInfo

from papi_backup.api.checks import UnfitError
from papi_backup.api.dates import GivenDate, parse_date, parse_zone
from papi_backup.model.secret import MASK, Secret

T = TypeVar("T")
Check = Callable[[str], str]
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
_BLANKS = " \t\r\n"
"""Not all that strip() takes: its control characters are no more part of a number than letters are."""

_TRUE = ("1", "true", "yes", "on")
_FALSE = ("0", "false", "no", "off")
MAXIMUM_ITEMS = 10_000


class Kind(Protocol):
    """A type of parameter."""

    def parse(self, values: Sequence[object]) -> object:
        """Return the checked value; raises :class:`UnfitError`."""


def single(values: Sequence[object]) -> object:
    """Return the one value; the same one several times is one, but which of two was meant is a guess."""
    first = values[0]
    if any(value != first or type(value) is not type(first) for value in values[1:]):
        raise UnfitError("it was given several times with different values")
    return first


def _text_of(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise UnfitError("it is not a text")


def _shown(value: object) -> str:
    return repr(value)[:80]


@dataclass(frozen=True, slots=True)
class Text:
    """A text of at most ``maximum`` bytes; ``undecodable`` keeps bytes that are no UTF-8, as paths have."""

    maximum: int = 1024
    check: Check | None = None
    undecodable: bool = False

    def parse(self, values: Sequence[object]) -> str:
        """Return the text as its check tidied it; a blank one, which only "none" can mean, as ""."""
        value = single(values)
        if self.check and isinstance(value, str) and not value.strip():
            return ""
        return self.parse_one(value)

    def parse_one(self, value: object) -> str:
        """Like :meth:`parse`, for one value."""
        text = _text_of(value)
        try:
            size = len(text.encode("utf-8", "surrogateescape" if self.undecodable else "strict"))
        except UnicodeEncodeError:
            raise UnfitError("it is not UTF-8 text") from None
        if size > self.maximum:
            raise UnfitError(f"it is longer than {self.maximum} bytes")
        if "\0" in text:
            raise UnfitError("it has a NUL in it")
        return self.check(text) if self.check else text


@dataclass(frozen=True, slots=True)
class SecretText:
    """A secret of at most ``maximum`` bytes.  A mask sent back is refused: it would become the secret."""

    maximum: int = 1024
    may_be_blank: bool = False
    undecodable: bool = False

    def parse(self, values: Sequence[object]) -> Secret:
        """Return the secret."""
        text = Text(self.maximum, undecodable=self.undecodable).parse(values)
        if text == MASK or text.startswith(f"{MASK} ("):
            raise UnfitError("it is masked; send the secret itself, or leave the parameter out to keep it")
        if not text and not self.may_be_blank:
            raise UnfitError("it is empty")
        return Secret(text)


@dataclass(frozen=True, slots=True)
class Integer:
    """A whole number from ``low`` to ``high``."""

    low: int
    high: int

    def parse(self, values: Sequence[object]) -> int:
        """Return the number."""
        return self.parse_one(single(values))

    def parse_one(self, value: object) -> int:
        """Like :meth:`parse`, for one value."""
        number: int | None = None
        if isinstance(value, int) and not isinstance(value, bool):
            number = value
        elif isinstance(value, str) and _INTEGER.fullmatch(bare := value.strip(_BLANKS)):
            number = int(bare)
        if number is None or not self.low <= number <= self.high:
            raise UnfitError(f"{_shown(value)} is not an integer from {self.low} to {self.high}")
        return number


IDENTIFIER = Integer(1, (1 << 63) - 1)


@dataclass(frozen=True, slots=True)
class Boolean:
    """``1``, ``true``, ``True``, … or their opposites."""

    def parse(self, values: Sequence[object]) -> bool:
        """Return the truth value."""
        value = single(values)
        word = str(value).strip().lower() if isinstance(value, str | int | bool) else ""
        if word in _TRUE:
            return True
        if word in _FALSE:
            return False
        raise UnfitError(f"{_shown(value)} is neither true nor false")


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some words."""

    words: tuple[str, ...]

    def parse(self, values: Sequence[object]) -> str:
        """Return the word."""
        value = single(values)
        if not isinstance(value, str) or value not in self.words:
            raise UnfitError(f"{_shown(value)} is none of {', '.join(self.words)}")
        return value


@dataclass(frozen=True, slots=True)
class IntegerList:
    """Whole numbers: ``1,2,3``, JSON text, a JSON list, or a repeated field."""

    low: int
    high: int

    def parse(self, values: Sequence[object]) -> tuple[int, ...]:
        """Return the numbers in their order."""
        one = Integer(self.low, self.high)
        items = [item for value in values for item in _items(value, lambda _item: True)]
        return _bounded(tuple(one.parse_one(item) for item in items))


@dataclass(frozen=True, slots=True)
class TextList:
    """Texts: ``a,b``, JSON text, a JSON list, or a repeated field, which is the way for items with commas."""

    item: Text

    def parse(self, values: Sequence[object]) -> tuple[str, ...]:
        """Return the texts in their order."""
        repeated = len(values) > 1
        items: list[object] = []
        for value in values:
            items += [value] if repeated and isinstance(value, str) else _items(value, _is_text)
        return _bounded(tuple(self.item.parse_one(item) for item in items if item != ""))


@dataclass(frozen=True, slots=True)
class Date:
    """A date, with or without time and offset; see :mod:`papi_backup.api.dates`."""

    def parse(self, values: Sequence[object]) -> GivenDate:
        """Return the date as it was given."""
        return _worded(parse_date, single(values))


@dataclass(frozen=True, slots=True)
class Zone:
    """The name of an IANA timezone."""

    def parse(self, values: Sequence[object]) -> ZoneInfo:
        """Return the zone."""
        return _worded(parse_zone, single(values))


def _worded(parse: Callable[[str], T], value: object) -> T:
    if not isinstance(value, str) or not value.isascii() or len(value) > 100:
        raise UnfitError(f"{_shown(value)} is not a short ASCII text")
    try:
        return parse(value)
    except ValueError as error:
        raise UnfitError(f"{_shown(value)} {error}") from None


def _is_text(item: object) -> bool:
    return isinstance(item, str)


def _items(value: object, fits: Callable[[object], bool]) -> list[object]:
    """Take one value apart.  A text in brackets is JSON, unless it only looks so (the glob ``[0-9]``)."""
    if isinstance(value, list):
        return value
    if not isinstance(value, str):
        return [value]
    if value.lstrip().startswith("["):
        try:
            parsed = json.loads(value)
        except (ValueError, RecursionError):
            parsed = None
        if isinstance(parsed, list) and all(fits(item) for item in parsed):
            return parsed
    return [item.strip() for item in value.split(",") if item.strip()]


def _bounded(items: tuple[T, ...]) -> tuple[T, ...]:
    if len(items) > MAXIMUM_ITEMS:
        raise UnfitError(f"it has more than {MAXIMUM_ITEMS} items")
    return items
