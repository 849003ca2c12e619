# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The envelope of every answer (wire.md "Envelope")."""

from __future__ import annotations

import json
from collections.abc import Mapping

from papi_backup.api.xml_encoding import encode_result
from papi_backup.model.errors import PapiError

FORMATS = {"json": "application/json", "xml": "application/xml; charset=utf-8"}
"""The extensions of a method's path, and the media types of its answers."""

DEFAULT_FORMAT = "json"


def success(data: object, beside: Mapping[str, object]) -> dict[str, object]:
    """Return the envelope of an answer; ``beside`` holds extension fields that stand next to ``data``."""
    return {"success": 1, "data": data, **beside}


def failure(error: PapiError) -> dict[str, object]:
    """Return the envelope of an error."""
    return {"success": 0, "error_code": error.code, "error": error.message}


def encode(envelope: Mapping[str, object], answer_format: str) -> bytes:
    """Return the bytes of an answer in one of :data:`FORMATS`."""
    if answer_format == "xml":
        return encode_result(envelope)
    # ASCII only: it carries the surrogate escapes of undecodable names, which UTF-8 refuses.
    return json.dumps(envelope, separators=(", ", ": "), allow_nan=False).encode("ascii")
