# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shapes of answers in Markdown."""

from __future__ import annotations

from papi_backup.api.shapes import (
    ConstantShape,
    EitherShape,
    Field,
    ListShape,
    MapShape,
    NumberShape,
    RecordShape,
    Shape,
    TextShape,
    TruthShape,
)


def in_words(shape: Shape) -> str:
    """Return a shape as a paragraph, with bullets below it for what it has inside."""
    inside = _inside(shape, 0)
    return "\n".join([_type(shape), *([""] if inside else []), *inside])


def plan_in_words(plan: Shape) -> str:
    """Return the answer of a dry run; what it shows of a thing is what the listing of such things shows."""
    fields = plan.fields if isinstance(plan, RecordShape) else ()
    sides = next((field.shape for field in fields if field.name == "before"), None)
    if not isinstance(sides, EitherShape):
        return in_words(plan)
    things = ", or ".join(_type(shape)[:1].lower() + _type(shape)[1:] for shape in sides.shapes[:-1])
    return (
        '`{"changed": …, "before": {…}, "after": {…}}`; each side is '
        f"{things}; `{{}}` before what is new and after what goes. Secrets are masked, and flagged as same or"
        " different."
    )


def bullet(field: Field, depth: int = 0) -> str:
    """Return an entry of a record as a bullet, with bullets below it."""
    notes = [
        word for word, said in (("extension", field.extension), ("may be absent", field.optional)) if said
    ]
    line = f"* `{field.name}`: {_type(field.shape)}{_noted(notes)}. {field.meaning}"
    return "\n".join(["  " * depth + line.rstrip(), *_inside(field.shape, depth + 1)])


def _noted(notes: list[str]) -> str:
    return f" ({', '.join(notes)})" if notes else ""


def _type(shape: Shape) -> str:
    match shape:
        case ConstantShape():
            found = f'`"{shape.text}"`'
        case TextShape():
            found = ", ".join(f"`{word}`" if word else "empty" for word in shape.words) or "text"
        case NumberShape():
            found = "integer"
        case TruthShape():
            found = "boolean"
        case ListShape():
            found = (
                f"list of {_plain(shape.item)}"
                if _is_simple(shape.item)
                else f"list, each {_each(shape.item)}"
            )
        case MapShape():
            found = f"by the name of each {shape.key}: {_each(shape.value)}"
        case EitherShape():
            found = "one of these"
        case RecordShape():
            found = shape.meaning.rstrip(".") or "dictionary"
        case unknown:
            found = f"see there ({type(unknown).__name__})"
    return found


def _is_simple(shape: Shape) -> bool:
    return isinstance(shape, NumberShape) or (isinstance(shape, TextShape) and not shape.words)


def _plain(shape: Shape) -> str:
    return f"{_type(shape)}s"


def _each(shape: Shape) -> str:
    """Return what a thing is, in the middle of a sentence."""
    words = _type(shape)
    return words[0].lower() + words[1:]


def _inside(shape: Shape, depth: int) -> list[str]:
    """Return bullets for what a shape has inside; the same thing twice in a row is said once."""
    match shape:
        case RecordShape():
            return [bullet(field, depth) for field in shape.fields]
        case ListShape():
            return _inside(shape.item, depth)
        case MapShape():
            return _inside(shape.value, depth)
        case EitherShape():
            return [
                line
                for each in shape.shapes
                for line in ("  " * depth + f"* {_type(each)}", *_inside(each, depth + 1))
            ]
        case unused:
            del unused
            return []
