# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes docs/api.md: from the endpoint table, with requests that a running agent answers.

``scripts/docs`` writes it, and docs/openapi.json.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlencode

from document_examples import REQUESTS
from fake_backends import NOW, backup_of
from running_api import Reply, RunningApi, running_api
from shape_words import bullet, in_words, plan_in_words

from papi_backup.api.described_kinds import words_of
from papi_backup.api.endpoint import EVERYWHERE, Endpoint
from papi_backup.api.openapi import openapi_document
from papi_backup.api.table import ENDPOINTS
from papi_backup.model.errors import BY_CODE

HERE = Path(__file__).parent
DOCS = HERE.parents[2] / "docs"
API_DOCUMENT = DOCS / "api.md"
OPENAPI_DOCUMENT = DOCS / "openapi.json"
INTRODUCTION = HERE / "api_introduction.md"


MADE = "scripts/docs, from agent/src/papi_backup/api/table.py"
"""What the file says of itself; the document that an agent serves does not come from a file."""


def openapi_text() -> str:
    """Return docs/openapi.json as it should be."""
    version, *others = openapi_document(ENDPOINTS).items()
    return json.dumps(dict([version, ("x-made-by", MADE), *others]), indent=1) + "\n"


def api_text() -> str:
    """Return docs/api.md as it should be: each request is sent to one agent, in the order of the document."""
    with tempfile.TemporaryDirectory(prefix="papi-") as directory, running_api(Path(directory)) as api:
        api.world.queries.backups = {"vault": [backup_of(NOW - timedelta(days=1)), backup_of(NOW, number=2)]}
        api.post("backup/run", backup_name="system", backup_type="full")
        sections = [_section(api, endpoint) for endpoint in ENDPOINTS]
        instance_id = api.world.store.instance_id
    codes = "\n".join(
        f"| {code} | `{error.name}` | {_first_line(error)} |" for code, error in sorted(BY_CODE.items())
    )
    everywhere = ", ".join(str(error.code) for error in sorted(EVERYWHERE, key=lambda error: error.code))
    introduction = INTRODUCTION.read_text().replace("{codes}", codes).replace("{everywhere}", everywhere)
    return (introduction + "\n".join(sections)).replace(instance_id, "0123456789abcdef")


def _first_line(error: type[Exception]) -> str:
    return (error.__doc__ or "").partition("\n")[0]


def _section(api: RunningApi, endpoint: Endpoint) -> str:
    who = {"open": "everybody", "account": "every account", "administrator": "administrators"}
    methods = " or ".join(endpoint.http_methods)
    parts = [
        f"### {endpoint.name}\n",
        f"`{methods} /papi/{endpoint.path}` · for {who[endpoint.access]}\n",
        f"{endpoint.summary.replace('.  ', '. ')}\n",
    ]
    if endpoint.parameters:
        rows = "\n".join(
            f"| `{parameter.name}` | {_kind_of(endpoint, parameter.name)} | {words_of(parameter.kind)} |"
            f" {parameter.meaning} |"
            for parameter in endpoint.parameters
        )
        parts.append(f"| parameter | | type and bounds | meaning |\n| --- | --- | --- | --- |\n{rows}\n")
    parts.append(f"Answer: {in_words(endpoint.result)}\n")
    if endpoint.beside:
        parts.append("Beside `data`:\n\n" + "\n".join(bullet(field, 0) for field in endpoint.beside) + "\n")
    if endpoint.plan:
        parts.append(f"With `dry_run`: {plan_in_words(endpoint.plan)}\n")
    own = [error for error in endpoint.errors if error not in EVERYWHERE]
    if own:
        parts.append(f"Errors: {', '.join(f'{error.code} `{error.name}`' for error in own)}\n")
    return "\n".join([*parts, *_exchange(api, endpoint)])


def _kind_of(endpoint: Endpoint, name: str) -> str:
    parameter = next(parameter for parameter in endpoint.parameters if parameter.name == name)
    words = ["required"] if parameter.required else []
    default = parameter.default
    if isinstance(default, bool | int | str) and default != "":
        words.append(f"default `{json.dumps(default) if not isinstance(default, str) else default}`")
    return ", ".join([*words, *(["extension"] if parameter.extension else [])])


def _exchange(api: RunningApi, endpoint: Endpoint) -> Iterator[str]:
    """Send a method's requests; what may be read is read as a viewer, who is shown no secret."""
    outside = endpoint.access != "administrator"
    for fields in REQUESTS[endpoint.name]:
        method = "POST" if endpoint.name == "login" else endpoint.http_methods[0]
        path = f"/papi/{endpoint.path}"
        cookie = api.login("viewer") if outside else ""
        reply = api.call(method, path, fields, via="port" if outside else "socket", cookie=cookie)
        assert reply.status == 200, reply.body
        yield f"```http\n{_request(method, path, urlencode(fields, doseq=True))}\n```\n"
        yield f"```json\n{_answer(endpoint, reply)}\n```\n"


def _request(method: str, path: str, encoded: str) -> str:
    if method == "GET":
        return f"{method} {path}{f'?{encoded}' if encoded else ''}"
    return f"{method} {path}\nContent-Type: application/x-www-form-urlencoded\n\n{encoded}"


def _answer(endpoint: Endpoint, reply: Reply) -> str:
    if endpoint.bare:
        beginning = {name: reply.envelope[name] for name in ("openapi", "info")}
        return json.dumps(beginning, indent=2)
    assert reply.envelope["success"] == 1, reply.body
    return json.dumps(reply.envelope, indent=2)


def main() -> None:
    """Write both documents."""
    OPENAPI_DOCUMENT.write_text(openapi_text())
    API_DOCUMENT.write_text(api_text())


if __name__ == "__main__":
    main()
