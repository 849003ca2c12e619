# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The OpenAPI document, made of the endpoint table.

Served at ``/papi/backup/openapi.json`` and committed as ``docs/openapi.json``.  Each method has three paths
(no extension, ``.json``, ``.xml``); the schemas of its request and answer are there once, as components.
"""

from __future__ import annotations

from collections.abc import Iterable

from papi_backup import API_VERSION
from papi_backup.api.described_kinds import schema_of
from papi_backup.api.endpoint import Endpoint
from papi_backup.api.envelope import DEFAULT_FORMAT, FORMATS
from papi_backup.api.gate import COOKIE
from papi_backup.api.parameters import Parameter
from papi_backup.api.shapes import Schema

_ABOUT = """\
Configures and runs backups of a host.  Errors of the API come with HTTP 200 and `success` 0; query and body
are merged; unknown parameters are ignored; a blank value counts as absent where nothing else is said.
Lists may also be one text, `1,2,3` or JSON.  docs/api.md has an example of every method."""
_PREFIX = "#/components"
_FORM = "application/x-www-form-urlencoded"


def openapi_document(endpoints: Iterable[Endpoint]) -> dict[str, object]:
    """Return the document (OpenAPI 3.1) as JSON has it."""
    rows = list(endpoints)
    schemas: dict[str, object] = {"error_text": {"type": "string"}}
    for endpoint in rows:
        schemas |= _schemas(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Backup API",
            "version": API_VERSION,
            "description": _ABOUT,
            "license": {"name": "GPL-3.0-or-later", "identifier": "GPL-3.0-or-later"},
        },
        "servers": [{"url": "/papi"}],
        "paths": {path: item for endpoint in rows for path, item in _paths(endpoint).items()},
        "components": {
            "schemas": schemas,
            "responses": {
                "crash": {
                    "description": "The agent failed; its log says more.",
                    "content": {"application/json": {"schema": {"type": "object"}}},
                }
            },
            "securitySchemes": {
                "session": {"type": "apiKey", "in": "cookie", "name": COOKIE},
                "username": {"type": "apiKey", "in": "query", "name": "username"},
                "password": {"type": "apiKey", "in": "query", "name": "password"},
            },
        },
        # On the unix socket root and the agent's group need neither.
        "security": [{"session": []}, {"username": [], "password": []}, {}],
    }


def _paths(endpoint: Endpoint) -> dict[str, object]:
    if endpoint.bare:
        return {f"/{endpoint.path}": _path_item(endpoint, "", DEFAULT_FORMAT)}
    return {
        f"/{endpoint.path}{f'.{extension}' if extension else ''}": _path_item(
            endpoint, extension, extension or DEFAULT_FORMAT
        )
        for extension in ("", *FORMATS)
    }


def _path_item(endpoint: Endpoint, extension: str, answer_format: str) -> dict[str, object]:
    return {
        method.lower(): _operation(endpoint, method, extension, answer_format)
        for method in endpoint.http_methods
    }


def _operation(endpoint: Endpoint, method: str, extension: str, answer_format: str) -> dict[str, object]:
    names = (endpoint.name, extension, method.lower())
    found: dict[str, object] = {
        "operationId": "_".join(name for name in names if name),
        "summary": endpoint.summary,
        "tags": [_tag(endpoint)],
        "responses": {
            "200": {
                "description": "The answer, or an error of the API.",
                "content": {_media_type(answer_format): {"schema": _reference(f"{endpoint.name}_answer")}},
            },
            "500": {"$ref": f"{_PREFIX}/responses/crash"},
        },
    }
    if endpoint.access == "open":
        found["security"] = [{}]
    if endpoint.parameters and method == "GET":
        found["parameters"] = [_in_query(parameter) for parameter in endpoint.parameters]
    elif endpoint.parameters:
        schema = {"schema": _reference(f"{endpoint.name}_request")}
        found["requestBody"] = {
            "required": any(parameter.required for parameter in endpoint.parameters),
            "content": {_FORM: schema, "application/json": schema},
        }
    return found


def _tag(endpoint: Endpoint) -> str:
    parts = endpoint.path.split("/")
    return parts[1] if len(parts) > 2 else "session"


def _media_type(answer_format: str) -> str:
    return FORMATS[answer_format].partition(";")[0]


def _in_query(parameter: Parameter) -> dict[str, object]:
    return {
        "name": parameter.name,
        "in": "query",
        "required": parameter.required,
        "description": _description(parameter),
        "schema": _parameter_schema(parameter),
    }


def _schemas(endpoint: Endpoint) -> dict[str, object]:
    found: dict[str, object] = {f"{endpoint.name}_answer": _answer(endpoint)}
    if endpoint.parameters:
        request: Schema = {
            "type": "object",
            "properties": {
                parameter.name: _parameter_schema(parameter) | {"description": _description(parameter)}
                for parameter in endpoint.parameters
            },
        }
        required = [parameter.name for parameter in endpoint.parameters if parameter.required]
        if required:
            request["required"] = required
        found[f"{endpoint.name}_request"] = request
    return found


def _parameter_schema(parameter: Parameter) -> Schema:
    schema = schema_of(parameter.kind)
    if parameter.required and schema["type"] == "string":
        schema["minLength"] = 1
    if isinstance(parameter.default, bool | int | str) and parameter.default != "":
        schema["default"] = parameter.default
    return schema


def _description(parameter: Parameter) -> str:
    return f"An extension of the spec. {parameter.meaning}" if parameter.extension else parameter.meaning


def _answer(endpoint: Endpoint) -> Schema:
    if endpoint.bare:
        return endpoint.result.schema()
    data = endpoint.result.schema()
    if endpoint.plan is not None:
        data = {"anyOf": [data, endpoint.plan.schema()]}
    success: Schema = {
        "type": "object",
        "properties": {
            "success": {"type": "integer", "const": 1},
            "data": data,
            **{
                field.name: field.shape.schema() | {"description": field.meaning} for field in endpoint.beside
            },
        },
        "required": ["success", "data"],
    }
    failure: Schema = {
        "type": "object",
        "properties": {
            "success": {"type": "integer", "const": 0},
            "error_code": {
                "type": "integer",
                "enum": [error.code for error in endpoint.errors],
                "description": ", ".join(f"{error.code} {error.name}" for error in endpoint.errors),
            },
            "error": _reference("error_text"),
        },
        "required": ["success", "error_code", "error"],
    }
    return {"oneOf": [success, failure], "xml": {"name": "result"}}


def _reference(name: str) -> Schema:
    return {"$ref": f"{_PREFIX}/schemas/{name}"}
