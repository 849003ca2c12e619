# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Coverage-guided fuzzing of the way from a query and a body to checked arguments, and of the answer back.

``python fuzz_parameters.py -max_total_time=20 [CORPUS]`` runs it, with libFuzzer's options.  The first byte
chooses a method, the second a content type, and what follows is a query, a NUL byte and a body.
"""

from __future__ import annotations

import json
import logging
import sys
from xml.etree import ElementTree

import atheris

with atheris.instrument_imports(include=["papi_backup.api", "python_multipart"]):
    from papi_backup.api.envelope import encode, failure
    from papi_backup.api.gate import CREDENTIALS
    from papi_backup.api.parameters import read_arguments
    from papi_backup.api.raw_parameters import raw_parameters
    from papi_backup.api.table import ENDPOINTS
    from papi_backup.model.errors import InvalidParameterError

CONTENT_TYPES = (
    "application/x-www-form-urlencoded",
    "application/json",
    "multipart/form-data; boundary=B",
    "multipart/form-data",
    "",
)
SECRETS = frozenset(("password", "api_token", "aws_secret_key", "encryption_key"))
LONGEST_MESSAGE = 1000


def one_request(data: bytes) -> None:
    """Whatever comes in: arguments, or an error that names a parameter and that both formats carry."""
    if len(data) < 2:
        return
    endpoint = ENDPOINTS[data[0] % len(ENDPOINTS)]
    query, unused, body = data[2:].partition(b"\0")
    del unused
    try:
        raw = raw_parameters(query, CONTENT_TYPES[data[1] % len(CONTENT_TYPES)], body)
        read_arguments(CREDENTIALS, raw)
        read_arguments(endpoint.parameters, raw)
    except InvalidParameterError as error:
        check_error(error)


def check_error(error: InvalidParameterError) -> None:
    """Raise unless the error can be told, is short, and says which parameter it is about."""
    envelope = failure(error)
    assert json.loads(encode(envelope, "json")) == envelope
    root = ElementTree.fromstring(encode(envelope, "xml"))  # noqa: S314 (made by the code under test)
    assert root.findtext("error_code") == "3005"
    assert 0 < len(error.message) <= LONGEST_MESSAGE, error.message
    if error.parameter:
        assert f"'{error.parameter}'" in error.message, error.message
    if error.parameter in SECRETS:
        assert "\\" not in error.message, "a secret's value is told"


def main() -> None:
    """Run libFuzzer, which ends the process."""
    # The multipart parser's words about what is malformed would be most of the output.
    logging.disable()
    atheris.Setup(sys.argv, one_request)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
