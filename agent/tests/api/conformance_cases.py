# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The conformance table: methods by formats by HTTP methods by what may be wrong with each parameter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from conformance_sorts import PARAMETERS, Sort
from method_examples import BY_METHOD, EXAMPLES, Example

EXTENSIONS = ("", ".json", ".xml")
CATEGORIES = (
    "right",
    "missing",
    "empty",
    "wrong type",
    "out of bounds",
    "too long",
    "not UTF-8",
    "repeated",
    "unknown",
    "refused method",
)
ACCEPTED = 0
REFUSED_METHOD = 405
NOT_UTF8 = b"\xff\xfe"
_FITTING: dict[str, dict[str, object]] = {
    # A list belongs to a period.
    f"schedule_{kind}_{name}": {f"schedule_{kind}_period": "yearly", f"schedule_{kind}_time_list": "1"}
    for kind in ("full", "inc")
    for name in ("time_list", "day_run", "time_run")
}


@dataclass(frozen=True)
class Case:
    """One request and the code it is answered with.  ``as_json``: the body is a JSON object."""

    method: str
    http_method: str
    extension: str
    category: str
    parameter: str = ""
    code: int = ACCEPTED
    fields: dict[str, object] = field(default_factory=dict)
    as_json: bool = False
    number: int = 0

    def __str__(self) -> str:
        words = (self.method, self.http_method, self.extension or "-", self.category, self.parameter)
        return " ".join((*filter(None, words), *([str(self.number)] if self.number else [])))

    @property
    def path(self) -> str:
        return BY_METHOD[self.method].path + self.extension


@dataclass(frozen=True)
class _Variant:
    category: str
    code: int
    fields: dict[str, object]
    as_json: bool = False


def cases() -> list[Case]:
    """Return the whole table."""
    return [case for example in EXAMPLES for case in _of_method(example)]


def counted() -> Counter[str]:
    """Return how many cases each category has."""
    return Counter(case.category for case in cases())


def _of_method(example: Example) -> Iterator[Case]:
    for extension in EXTENSIONS:
        for http_method in example.http_methods:
            where = (example.method, http_method, extension)
            yield Case(*where, "right", fields=_harmless(example, example.arguments))
            for parameter, sort in PARAMETERS[example.method].items():
                numbers: Counter[str] = Counter()
                for variant in _variants(example, parameter, sort):
                    number = numbers[variant.category]
                    numbers[variant.category] += 1
                    yield Case(
                        *where,
                        variant.category,
                        parameter,
                        variant.code,
                        variant.fields,
                        variant.as_json,
                        number,
                    )
        if example.changes:
            arguments = example.arguments
            yield Case(
                example.method, "GET", extension, "refused method", code=REFUSED_METHOD, fields=arguments
            )


def _harmless(example: Example, fields: dict[str, object]) -> dict[str, object]:
    """What is accepted is tried without a change; that changes are made is shown elsewhere."""
    return fields | {"dry_run": 1} if example.changes else fields


def _variants(example: Example, parameter: str, sort: Sort) -> Iterator[_Variant]:
    without = {name: value for name, value in example.arguments.items() if name != parameter}
    base = without | _FITTING.get(parameter, {})
    required = parameter in example.required
    if parameter != "dry_run":
        absent = 3005 if required else ACCEPTED
        blank = 3005 if required or sort.blank_refused else ACCEPTED
        yield _Variant("missing", absent, _unless_refused(example, without, absent))
        for value in ("", "   "):
            # A secret may be blanks, but not the key of new backups.
            code = ACCEPTED if value and "key" in parameter and not required else blank
            code = 3005 if value and sort.blanks_refused else code
            yield _Variant("empty", code, _unless_refused(example, base | {parameter: value}, code))
    for category, values in (("wrong type", sort.wrong_type), ("out of bounds", sort.out_of_bounds)):
        for value in values:
            yield _Variant(category, 3005, base | {parameter: value}, not isinstance(value, str))
    yield _Variant("too long", 3005, base | {parameter: sort.too_long})
    yield from _of_bytes(example, base, parameter, sort)
    sample = sort.sample if parameter in _FITTING else example.arguments.get(parameter, sort.sample)
    twice = base | {parameter: [sample, sample]}
    yield _Variant("repeated", ACCEPTED, _harmless(example, twice) if parameter != "dry_run" else twice)
    code = ACCEPTED if sort.many else 3005
    different = base | {parameter: [sort.sample, sort.other]}
    yield _Variant("repeated", code, _unless_refused(example, different, code))
    if parameter in example.unknown:
        yield _Variant("unknown", 3007, base | {parameter: example.unknown[parameter]})


def _of_bytes(example: Example, base: dict[str, object], parameter: str, sort: Sort) -> Iterator[_Variant]:
    code = ACCEPTED if sort.bytes_allowed else 3005
    start = b"/" if sort.bytes_allowed else b""
    fields = base | {parameter: start + NOT_UTF8}
    yield _Variant("not UTF-8", code, _unless_refused(example, fields, code))


def _unless_refused(example: Example, fields: dict[str, object], code: int) -> dict[str, object]:
    """What is refused goes without dry_run: nothing may change all the same."""
    return fields if code else _harmless(example, fields)
