# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``papi-backup token``: what an operator types, reads and gets as exit status."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from papi_backup.cli import main
from papi_backup.model.secret import Secret
from papi_backup.state.store import Store

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command with the test's settings; returns exit status, standard output, standard error."""
    config = tmp_path / "agent.toml"
    config.write_text(
        f'state_dir = "{tmp_path}/state"\nhost_name = "web1.example"\ntimezone = "Europe/Rome"\n'
        f'[api]\nsocket = "{tmp_path}/agent.sock"\n'
    )

    def runner(*arguments: str) -> tuple[int, str, str]:
        status = main(["--config", str(config), *arguments])
        output = capsys.readouterr()
        return status, output.out, output.err

    return runner


def test_a_token_is_made_shown_once_listed_and_revoked(run: Run, tmp_path: Path) -> None:
    status, value, words = run("token", "add", "ci", "--role", "viewer")
    assert (status, words) == (0, "token ci (viewer) added; its value is not shown again:\n")
    with Store.open(tmp_path / "state") as store:
        assert store.tokens.verify("ci", Secret(value.rstrip("\n")))
    run("token", "add", "deploy", "--role", "administrator")
    status, listing, words = run("token", "list")
    assert (status, words) == (0, "")
    assert [line.split("\t")[:2] for line in listing.splitlines()] == [
        ["ci", "viewer"],
        ["deploy", "administrator"],
    ]
    first, second = (line.split("\t")[2:] for line in listing.splitlines())
    assert first[0].startswith("made 20") and first[1].startswith("last used 20")
    assert second[1] == "last used never"
    assert value.rstrip("\n") not in listing
    assert run("token", "revoke", "ci") == (0, "token ci revoked\n", "")
    assert [line.split("\t")[0] for line in run("token", "list")[1].splitlines()] == ["deploy"]


def test_what_is_refused_is_one_line_on_standard_error_and_status_1(run: Run) -> None:
    run("token", "add", "ci", "--role", "viewer")
    for arguments, reason in [
        (("token", "add", "ci", "--role", "viewer"), "an API token named 'ci' exists already"),
        (("token", "revoke", "other"), "there is no API token named 'other'"),
    ]:
        assert run(*arguments) == (1, "", f"papi-backup: {reason}\n")


@pytest.mark.parametrize(
    "arguments",
    [["token"], ["token", "add", "ci"], ["token", "add", "--role", "viewer"], ["token", "revoke"]],
)
def test_a_wrong_command_line_has_status_2(run: Run, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as left:
        run(*arguments)
    assert left.value.code == 2
