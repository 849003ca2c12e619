# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``papi-backup tls``: what an operator gives to clients."""

from __future__ import annotations

from pathlib import Path

import pytest

from papi_backup.cli import main
from papi_backup.state.tls import facts_in


def settings_file(directory: Path, api: str) -> str:
    file = directory / "agent.toml"
    file.write_text(
        f'state_dir = "{directory}/state"\nhost_name = "web1.example"\ntimezone = "UTC"\n[api]\n{api}'
    )
    return str(file)


def test_what_to_trust_is_told_before_the_agent_first_runs_and_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = settings_file(tmp_path, 'listen = "0.0.0.0:8480"\ntls = "self-made"\ntls_names = ["10.0.0.5"]\n')
    assert main(["--config", file, "tls", "show"]) == 0
    shown = capsys.readouterr().out
    for name in ("tls-server.pem", "tls-authority.pem"):
        assert facts_in(tmp_path / "state" / name).fingerprint in shown
    assert "web1.example, localhost, 127.0.0.1, ::1, 10.0.0.5" in shown
    assert main(["--config", file, "tls", "show"]) == 0
    assert capsys.readouterr().out == shown
    assert main(["--config", file, "tls", "authority"]) == 0
    authority = capsys.readouterr().out
    assert authority.startswith("-----BEGIN CERTIFICATE-----\n") and authority.count("BEGIN") == 1
    given = settings_file(
        tmp_path, f'listen = "0.0.0.0:1"\ntls_certificate = "{tmp_path}/ca.pem"\ntls_key = "/k"\n'
    )
    (tmp_path / "ca.pem").write_text(authority)
    assert main(["--config", given, "tls", "show"]) == 0
    assert facts_in(tmp_path / "state" / "tls-authority.pem").fingerprint in capsys.readouterr().out


@pytest.mark.parametrize(
    ("api", "action", "reason"),
    [
        ('socket = "/s"\n', "show", "[api] asks for no TLS"),
        ('socket = "/s"\n', "authority", 'only with tls = "self-made" the agent has an authority of its own'),
        ('listen = "0.0.0.0:1"\n', "show", "needs TLS: give tls_certificate and tls_key"),
        (
            'listen = "0.0.0.0:1"\ntls_certificate = "/nowhere/c"\ntls_key = "/k"\n',
            "show",
            "/nowhere/c: No such file or directory",
        ),
    ],
)
def test_where_there_is_nothing_to_trust_it_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], api: str, action: str, reason: str
) -> None:
    assert main(["--config", settings_file(tmp_path, api), "tls", action]) == 1
    output = capsys.readouterr()
    assert (output.out, reason in output.err) == ("", True)
