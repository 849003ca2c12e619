# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``papi-backup``: what an operator types, reads and gets as exit status."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import papi_backup
from papi_backup.cli import main
from papi_backup.cli.accounts import read_password
from papi_backup.model.account import Account
from papi_backup.model.errors import InvalidParameterError
from papi_backup.model.secret import Secret
from papi_backup.state.store import Store

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "agent.toml"
    file.write_text(
        f'state_dir = "{tmp_path}/state"\nhost_name = "web1.example"\ntimezone = "Europe/Rome"\n'
        f'[api]\nsocket = "{tmp_path}/agent.sock"\nlisten = "127.0.0.1:8480"\n'
        '[sources.default]\npaths = ["/etc"]\nexcludes = ["*.tmp"]\n'
    )
    return file


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    file = tmp_path / "password"
    file.touch(mode=0o600)
    file.write_text("planted password\n")
    return file


@pytest.fixture
def run(config: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command with the test's settings; returns exit status, standard output, standard error."""

    def runner(*arguments: object) -> tuple[int, str, str]:
        status = main(["--config", str(config), *map(str, arguments)])
        output = capsys.readouterr()
        return status, output.out, output.err

    return runner


def verified(tmp_path: Path, name: str, password: str) -> Account | None:
    with Store.open(tmp_path / "state") as store:
        return store.accounts.verify(name, Secret(password))


def test_an_account_is_made_listed_changed_and_removed(run: Run, tmp_path: Path, password_file: Path) -> None:
    add = ("account", "add", "anna", "--role", "administrator", "--password-file", password_file)
    assert run(*add) == (0, "account anna (administrator) added\n", "")
    run("account", "add", "max", "--role", "viewer", "--password-file", password_file)
    assert run("account", "list") == (0, "anna\tadministrator\nmax\tviewer\n", "")
    assert verified(tmp_path, "anna", "planted password") == Account("anna", "administrator")
    password_file.write_text("another")
    changed = run("account", "set-password", "anna", "--password-file", password_file)
    assert changed == (0, "password of account anna changed\n", "")
    assert verified(tmp_path, "anna", "planted password") is None
    assert verified(tmp_path, "anna", "another")
    assert run("account", "remove", "anna") == (0, "account anna removed\n", "")
    assert run("account", "list")[1] == "max\tviewer\n"


def test_what_is_refused_is_one_line_on_standard_error_and_status_1(run: Run, password_file: Path) -> None:
    add = ("account", "add", "anna", "--role", "viewer", "--password-file", password_file)
    run(*add)
    for arguments, reason in [
        (add, "an account named 'anna' exists already"),
        (("account", "remove", "max"), "there is no account named 'max'"),
        (
            ("account", "set-password", "max", "--password-file", password_file),
            "there is no account named 'max'",
        ),
        (
            ("account", "set-password", "anna", "--password-file", "/nowhere/file"),
            "password file /nowhere/file: No such file or directory",
        ),
    ]:
        assert run(*arguments) == (1, "", f"papi-backup: {reason}\n")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["account"],
        ["account", "add", "anna", "--role", "viewer"],
        ["account", "add", "anna", "--password-file", "f"],
        ["account", "add", "anna", "--role", "root", "--password-file", "f"],
        ["account", "add", "anna", "--role", "viewer", "--password", "visible to every user"],
        ["unknown"],
    ],
)
def test_a_wrong_command_line_has_status_2_and_shows_the_usage(
    run: Run, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        run(*arguments)
    assert left.value.code == 2
    assert "usage: papi-backup" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "password"),
    [
        ("plain", "plain"),
        ("one newline\n", "one newline"),
        ("two newlines\n\n", "two newlines\n"),
        ("from windows\r\n", "from windows"),
        (" spaces stay ", " spaces stay "),
        ("pässwörd\n", "pässwörd"),
    ],
)
def test_one_newline_at_the_end_of_a_password_file_is_not_the_passwords(
    password_file: Path, content: str, password: str
) -> None:
    password_file.write_bytes(content.encode())
    assert read_password(password_file) == Secret(password)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_password_file_that_others_may_read_is_warned_of_and_used(
    password_file: Path, caplog: pytest.LogCaptureFixture, mode: int
) -> None:
    password_file.chmod(mode)
    with caplog.at_level(logging.WARNING):
        assert read_password(password_file) == Secret("planted password")
    assert f"others may read the password file {password_file} (mode {mode:04o})" in caplog.text


def test_a_private_password_file_is_not_warned_of(
    password_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    read_password(password_file)
    assert caplog.text == ""


def test_an_empty_or_binary_password_file_is_refused_without_showing_it(
    run: Run, password_file: Path
) -> None:
    arguments = ("account", "add", "anna", "--role", "viewer", "--password-file", password_file)
    password_file.write_bytes(b"planted\xff")
    status, _unused, error = run(*arguments)
    assert (status, error) == (1, f"papi-backup: password file {password_file} is not UTF-8 text\n")
    password_file.write_bytes(b"\n")
    status, _unused, error = run(*arguments)
    assert (status, error) == (1, "papi-backup: a password has from 1 to 1024 bytes\n")
    with pytest.raises(InvalidParameterError):
        read_password(password_file.parent)


def test_check_config_says_what_the_file_means(run: Run, config: Path, tmp_path: Path) -> None:
    status, output, error = run("check-config")
    assert (status, error) == (0, "")
    assert [line.split(None, 1) for line in output.replace("host name", "host_name").splitlines()] == [
        ["file", str(config)],
        ["state", f"{tmp_path}/state"],
        ["host_name", "web1.example"],
        ["timezone", "Europe/Rome"],
        ["socket", f"{tmp_path}/agent.sock"],
        ["listen", "http://127.0.0.1:8480"],
        ["[default]", "/etc without *.tmp"],
    ]
    assert not (tmp_path / "state").exists()


def test_a_mistake_in_the_settings_is_told_by_every_command(run: Run, config: Path) -> None:
    config.write_text(config.read_text().replace("host_name", "hostname"))
    for command in (["check-config"], ["account", "list"]):
        status, output, error = run(*command)
        assert (status, output) == (1, "")
        assert error.startswith("papi-backup: ")
        assert str(config) in error


def test_a_damaged_state_is_told_and_not_touched(run: Run, tmp_path: Path) -> None:
    run("account", "list")
    (tmp_path / "state/state.db").write_bytes(b"garbage")
    status, output, error = run("account", "list")
    assert (status, output) == (1, "")
    assert "state.db is no SQLite database" in error
    assert (tmp_path / "state/state.db").read_bytes() == b"garbage"


def test_the_version_needs_no_settings(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config", "/nowhere/agent.toml", "version"]) == 0
    assert capsys.readouterr().out == f"papi-backup {papi_backup.__version__} (API 1.0)\n"


def test_as_a_command_it_reads_the_password_from_standard_input(config: Path, tmp_path: Path) -> None:
    arguments = ["account", "add", "anna", "--role", "administrator", "--password-file", "-"]
    done = subprocess.run(
        [sys.executable, "-m", "papi_backup.cli", "--config", str(config), *arguments],
        input=b"from a pipe\n",
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(papi_backup.__file__).parents[1])},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"account anna (administrator) added\n", b"")
    assert verified(tmp_path, "anna", "from a pipe")
