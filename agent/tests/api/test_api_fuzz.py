# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parser of parameters and bodies under a coverage-guided fuzzer, for a bounded time."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
import zlib
from pathlib import Path
from urllib.parse import urlencode

import pytest
from checks.sampling import Sample
from method_examples import BY_METHOD

from papi_backup.api.table import ENDPOINTS

pytestmark = pytest.mark.slow

SECONDS, SECONDS_OF_THE_WHOLE = 10, 180
SCRIPT = Path(__file__).parent / "fuzz_parameters.py"
MULTIPART = b'--B\r\nContent-Disposition: form-data; name="storage_id"\r\n\r\n1\r\n--B--\r\n'
BODIES = (
    b"",
    b'{"storage_id": 1, "paths": ["/a", "/b"], "dry_run": true}',
    MULTIPART,
    MULTIPART,
    b"a=%FF&b[]=1",
)


@pytest.fixture
def atheris() -> str:
    """The fuzzer's version.  The runner leaves out what wants it where there is none for the platform."""
    return importlib.metadata.version("atheris")


def write_corpus(directory: Path) -> None:
    """Write a request of each method with each content type, right and wrong."""
    directory.mkdir()
    for number, endpoint in enumerate(ENDPOINTS):
        example = BY_METHOD.get(endpoint.name)
        arguments = dict(example.arguments) if example else {"username": "admin", "password": "secret"}
        for content, body in enumerate(BODIES):
            name = directory / f"{endpoint.name}-{content}"
            query = urlencode(arguments).encode()
            name.write_bytes(bytes((number, content)) + query + b"\0" + body)
        for parameter, values in (example.wrong if example else {}).items():
            for value_number, value in enumerate(values):
                query = urlencode(arguments | {parameter: value}).encode()
                (directory / f"{endpoint.name}-{parameter}-{value_number}").write_bytes(
                    bytes((number, 0)) + query
                )


def test_no_bytes_are_more_than_an_invalid_parameter(tmp_path: Path, atheris: str, sample: Sample) -> None:
    corpus = tmp_path / "corpus"
    write_corpus(corpus)
    seconds = sample.number(SECONDS, SECONDS_OF_THE_WHOLE)
    options = [f"-max_total_time={seconds}", "-max_len=4096", f"-seed={zlib.crc32(sample.seed.encode())}"]
    command = [sys.executable, str(SCRIPT), *options, str(corpus)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=seconds + 220,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    runs = re.search(r"Done (\d+) runs in (\d+) second", done.stderr)
    assert runs is not None, done.stderr[-4000:]
    print(f"atheris {atheris}: {runs[0]}")
    assert int(runs[1]) > 1000
