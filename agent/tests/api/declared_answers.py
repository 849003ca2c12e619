# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Holds an answer of the API to what the endpoint table declares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from papi_backup.api.endpoint import Endpoint
from papi_backup.api.shapes import Shape
from papi_backup.api.table import by_path

ENDPOINTS = by_path()


def _is_integer(value: object) -> bool:
    """Whether it is a number, and neither true nor false."""
    return isinstance(value, int) and not isinstance(value, bool)


def endpoint_of(target: str) -> Endpoint | None:
    """Return the row of the table behind a request's target."""
    path = target.partition("?")[0]
    return ENDPOINTS.get(path) or ENDPOINTS.get(path.removesuffix(".json").removesuffix(".xml"))


def undeclared(endpoint: Endpoint, envelope: object) -> list[str]:
    """Tell what of an answer in JSON, sent with HTTP 200, the table does not declare."""
    if not isinstance(envelope, dict):
        return [f"the answer is {type(envelope).__name__}, not a dictionary"]
    if endpoint.bare and "openapi" in envelope:
        return list(endpoint.result.faults(envelope))
    if not _is_integer(envelope.get("success")):
        return [f"success is {envelope.get('success')!r}, not an integer"]
    return list(
        _of_success(endpoint, envelope) if envelope["success"] == 1 else _of_failure(endpoint, envelope)
    )


def _of_success(endpoint: Endpoint, envelope: Mapping[str, object]) -> Iterator[str]:
    beside = {field.name: field for field in endpoint.beside}
    for name in envelope.keys() - {"success", "data"}:
        if name in beside:
            yield from beside[name].shape.faults(envelope[name], name)
        else:
            yield f"{name!r} stands beside data, which nobody declared"
    if "data" not in envelope:
        yield "there is no data"
        return
    shapes: list[Shape] = [endpoint.result, *([endpoint.plan] if endpoint.plan else [])]
    yield from min((list(shape.faults(envelope["data"])) for shape in shapes), key=len)


def _of_failure(endpoint: Endpoint, envelope: Mapping[str, object]) -> Iterator[str]:
    if envelope.keys() != {"success", "error_code", "error"}:
        yield f"an error has {', '.join(envelope)}"
    if envelope["success"] != 0:
        yield f"success is {envelope['success']}"
    if not _is_integer(envelope.get("error_code")):
        yield f"error_code is {envelope.get('error_code')!r}, not an integer"
    elif envelope["error_code"] not in {error.code for error in endpoint.errors}:
        yield f"{endpoint.name} does not declare the error {envelope['error_code']}"
    if not isinstance(envelope.get("error"), str):
        yield "error is no text"
