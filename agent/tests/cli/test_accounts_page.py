# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/accounts.md: its settings are read, its commands run, and its numbers are the program's."""

from __future__ import annotations

import io
import re
import shlex
from pathlib import Path

import pytest

from papi_backup.api.crowd import FEW
from papi_backup.api.framing import _FREE_CHUNKS, HEADER_LINES
from papi_backup.api.raw_parameters import _SMALL_BYTES, _SMALL_FIELDS, _SMALL_MULTIPART_BYTES
from papi_backup.api.request import Limits
from papi_backup.api.serving import KEEP_ALIVE_SECONDS
from papi_backup.api.token_sight import _WINDOW_BYTES
from papi_backup.cli import main
from papi_backup.config import ApiSettings, load_settings
from papi_backup.services import access, brake
from papi_backup.state.tls import AUTHORITY_LIFE, RENEW_BEFORE, SERVER_LIFE

PAGE = (Path(__file__).parents[3] / "docs" / "accounts.md").read_text()
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", PAGE, re.DOTALL)
SETTINGS = [text for language, text in BLOCKS if language == "toml"]
COMMANDS = [line for language, text in BLOCKS if language == "" for line in text.splitlines()]


def write_settings(directory: Path, api: str) -> Path:
    file = directory / "agent.toml"
    file.write_text(f'state_dir = "{directory}/state"\nhost_name = "h.example"\n{api}')
    return file


@pytest.mark.parametrize("text", SETTINGS, ids=lambda text: text.splitlines()[1])
def test_the_settings_on_the_page_are_read(tmp_path: Path, text: str) -> None:
    assert load_settings(write_settings(tmp_path, text)).api


def test_the_commands_on_the_page_work_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = write_settings(tmp_path, next(text for text in SETTINGS if "self-made" in text))
    password = tmp_path / "password"
    password.write_text("another long password")
    password.chmod(0o600)
    ran = []
    for line in COMMANDS:
        before, _unused, after = line.partition("papi-backup ")
        if before.startswith("printf"):
            given = io.TextIOWrapper(io.BytesIO(shlex.split(before)[2].encode()))
            monkeypatch.setattr("sys.stdin", given)
        arguments = shlex.split(after.partition(">")[0], comments=True)
        arguments = [str(password) if word == "FILE" else word for word in arguments]
        assert main(["--config", str(config), *arguments]) == 0, line
        ran.append(arguments[0])
    assert set(ran) == {"account", "token", "tls"} and len(ran) == 9


def test_the_numbers_on_the_page_are_the_programs() -> None:
    limits = Limits()
    pair, address, account = access._OF_ACCOUNT_AND_ADDRESS, access._OF_ADDRESS, access._OF_ACCOUNT
    for words in (
        f"default {ApiSettings().session_idle_seconds}",
        f"| one name at one address | {pair.free} | 1 s, doubled with each failure, up to {pair.longest} s |",
        f"| one address, whatever the names | {address.free} | the same |",
        f"at a name that {account.free} attempts in a row failed at",
        f"in the first and the last {_WINDOW_BYTES >> 10} KiB of a body",
        f"one for each 256 bytes, but for {_FREE_CHUNKS}",
        f"({_SMALL_BYTES >> 10} KiB, {_SMALL_FIELDS} `&`; multipart {_SMALL_MULTIPART_BYTES >> 10} KiB)",
        f"of the network and address that have most (above {FEW})",
        f"forgotten {brake.FORGET_SECONDS / 60:g} minutes after",
        f"({AUTHORITY_LIFE.days // 365} years) and a certificate ({SERVER_LIFE.days} days), which is renewed"
        f" {RENEW_BEFORE.days} days before",
        f"| head of a request | 64 KiB, {HEADER_LINES} lines, {limits.head_seconds:g} s |",
        f"| body | {limits.body >> 20} MiB, {limits.body_seconds:g} s;",
        f"| idle connection | {KEEP_ALIVE_SECONDS} s |",
        f"| connections | {limits.connections} a listener;",
    ):
        assert words in PAGE
    assert address.longest == pair.longest and 2 * limits.send_seconds <= 60
