# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The self-made certificate: made once, renewed in time, under one authority that clients trust."""

from __future__ import annotations

import hashlib
import ssl
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from papi_backup.config import ApiSettings, Settings
from papi_backup.state.database import StateError
from papi_backup.state.tls import (
    AUTHORITY_FILE,
    AUTHORITY_LIFE,
    RENEW_BEFORE,
    SERVER_FILE,
    SERVER_LIFE,
    SelfMadeCertificate,
    facts_in,
)

NAMES = ("web1.example", "localhost", "127.0.0.1", "::1")
Make = Callable[..., SelfMadeCertificate]


@pytest.fixture
def make(tmp_path: Path, clock: Any) -> Make:
    def maker(*names: str) -> SelfMadeCertificate:
        return SelfMadeCertificate(tmp_path / "state", names or NAMES, clock)

    return maker


def fingerprints(state: Path) -> tuple[str, str]:
    return facts_in(state / AUTHORITY_FILE).fingerprint, facts_in(state / SERVER_FILE).fingerprint


def test_keys_and_certificates_lie_in_files_of_their_owner_alone(make: Make, tmp_path: Path) -> None:
    own = make()
    assert own.ensure() is True
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
    for path in (own.path, own.authority_path):
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----")
    assert b"PRIVATE" not in own.authority_pem().encode()


def test_the_certificate_is_for_the_given_names_and_has_the_fingerprint_that_openssl_tells(
    make: Make,
) -> None:
    own = make("web1.example", "2001:DB8::1", "web1.example", "t\u00fcr.example", "*.example")
    own.ensure()
    facts = facts_in(own.path)
    assert facts.names == ("web1.example", "2001:db8::1", "*.example")
    pem = own.path.read_text().partition("-----END PRIVATE KEY-----\n")[2]
    first = pem[: pem.index("-----END CERTIFICATE-----") + len("-----END CERTIFICATE-----")]
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(first)).hexdigest().upper()
    assert facts.fingerprint.replace(":", "") == digest
    assert own.ensure() is False


def test_what_is_good_stays_and_is_renewed_before_it_ends(make: Make, tmp_path: Path, clock: Any) -> None:
    own = make()
    own.ensure()
    authority, first = fingerprints(tmp_path / "state")
    clock.now += SERVER_LIFE - RENEW_BEFORE - timedelta(hours=1)
    assert own.ensure() is False
    assert make().ensure() is False
    clock.forward(hours=2)
    assert own.ensure() is True
    assert own.ensure() is False
    again, second = fingerprints(tmp_path / "state")
    assert (again == authority, second == first) == (True, False)
    assert facts_in(own.path).expires == clock.now + SERVER_LIFE


def test_an_authority_that_would_not_outlive_a_certificate_is_made_anew_and_said(
    make: Make, tmp_path: Path, clock: Any, caplog: pytest.LogCaptureFixture
) -> None:
    own = make()
    own.ensure()
    before = fingerprints(tmp_path / "state")
    clock.now += AUTHORITY_LIFE - SERVER_LIFE + timedelta(days=1)
    caplog.clear()
    assert own.ensure() is True
    after = fingerprints(tmp_path / "state")
    assert before[0] != after[0] and before[1] != after[1]
    assert f"clients have to trust {after[0]}" in caplog.text


def test_other_names_make_another_certificate_under_the_same_authority(make: Make, tmp_path: Path) -> None:
    make().ensure()
    before = fingerprints(tmp_path / "state")
    assert make(*NAMES, "192.0.2.7").ensure() is True
    after = fingerprints(tmp_path / "state")
    assert (before[0] == after[0], before[1] == after[1]) == (True, False)


def test_a_certificate_of_another_authority_is_replaced(make: Make, tmp_path: Path) -> None:
    own = make()
    own.ensure()
    own.authority_path.unlink()
    assert own.ensure() is True
    assert own.ensure() is False


@pytest.mark.parametrize("name", [AUTHORITY_FILE, SERVER_FILE])
@pytest.mark.parametrize("content", [b"", b"nonsense", b"-----BEGIN PRIVATE KEY-----\n?\n"])
def test_a_damaged_file_is_named_and_left_alone(
    make: Make, tmp_path: Path, name: str, content: bytes
) -> None:
    make().ensure()
    path = tmp_path / "state" / name
    path.write_bytes(content)
    with pytest.raises(StateError, match=f"{name} is damaged: put a good copy back, or remove it"):
        make().ensure()
    assert path.read_bytes() == content


def test_access_that_others_were_given_is_taken_away(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    own = make()
    own.ensure()
    own.authority_path.chmod(0o644)
    make().ensure()
    assert own.authority_path.stat().st_mode & 0o777 == 0o600
    assert "other users may have read it" in caplog.text


def test_several_that_begin_at_once_make_one(make: Make, tmp_path: Path) -> None:
    made: list[bool] = []
    threads = [threading.Thread(target=lambda: made.append(make().ensure())) for unused in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == [False] * 5 + [True]


def test_a_file_without_a_certificate_has_no_facts(tmp_path: Path) -> None:
    file = tmp_path / "given.pem"
    with pytest.raises(StateError, match="No such file"):
        facts_in(file)
    file.write_text("nothing")
    with pytest.raises(StateError, match="holds no certificate in PEM"):
        facts_in(file)


@pytest.mark.parametrize(
    ("listen", "more"),
    [("0.0.0.0:1", ()), ("[::]:1", ()), ("192.0.2.1:1", ("192.0.2.1",)), ("127.0.0.1:1", ())],
)
def test_the_names_are_the_hosts_own_those_of_loopback_and_those_of_the_settings(
    listen: str, more: tuple[str, ...]
) -> None:
    api = ApiSettings(listen=listen, tls_self_made=True, tls_names=("backup.example", "localhost"))
    names = Settings(Path("/s"), "web1.example", api).certificate_names
    assert set(names) == {*more, "web1.example", "localhost", "127.0.0.1", "::1", "backup.example"}
    assert names[0] == "web1.example" and len(set(names)) == len(names)
