# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""agent.toml: what it means, and how each mistake is told."""

from __future__ import annotations

import dataclasses
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from papi_backup.config import ApiSettings, Settings, fully_qualified_name, load_settings
from papi_backup.model.errors import InvalidParameterError
from papi_backup.model.limits import EVERY_DAY, Limits, Window
from papi_backup.model.schedule import BackupConfig, SourceSet

MINIMAL = """
state_dir = "/some/dir"
[api]
socket = "/some/dir/agent.sock"
listen = "127.0.0.1:8480"
[sources.default]
paths = ["/etc", "/srv"]
excludes = ["*.tmp", "/srv/cache/**"]
"""
COMPLETE = """
state_dir = "/var/lib/papi-backup"
host_name = "Web1.Example.ORG"
protected_paths = ["/etc/papi-backup"]
timezone = "Europe/Rome"
[api]
socket = "/run/papi-backup/agent.sock"
socket_group = "backup"
listen = "[::]:8480"
tls_certificate = "/etc/papi-backup/tls.crt"
tls_key = "/etc/papi-backup/tls.key"
session_idle_seconds = 600
[jobs]
parallel = 2
helpers = 4
nice = 19
ionice = "idle"
history_count = 500
history_days = 0
drain_timeout = 5
restore_socket = "/run/papi-backup-restore.sock"
[crypto]
scrypt_cost = 1024
[limits]
upload = 4096
download = 0
[[limits.windows]]
days = ["mon", "fri"]
from = "08:00"
to = "18:30"
upload = 512
nice = 19
ionice = "idle"
[[limits.windows]]
from = "22:00"
to = "06:00"
upload = 0
download = 8
[sources.default]
paths = ["/etc/"]
[sources."data base"]
paths = ["/var//lib/db"]
excludes = ["*.wal"]
"""


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Settings]:
    """Load a text as the settings of a host called host.example, in UTC as far as the system says."""

    def loader(text: str | bytes, **keywords: Any) -> Settings:
        file = tmp_path / "agent.toml"
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        usual: dict[str, Any] = {
            "fqdn": lambda: "Host.Example",
            "environment": {},
            "localtime": tmp_path / "localtime",
        }
        return load_settings(file, **(usual | keywords))

    return loader


def test_the_file_of_a_hand_started_agent_needs_nothing_else(
    load: Callable[..., Settings], tmp_path: Path
) -> None:
    assert load(MINIMAL) == Settings(
        state_dir=Path("/some/dir"),
        host_name="host.example",
        api=ApiSettings(socket=Path("/some/dir/agent.sock"), listen="127.0.0.1:8480"),
        sources={"default": SourceSet(("/etc", "/srv"), ("*.tmp", "/srv/cache/**"))},
        timezone="UTC",
        max_parallel_jobs=1,
        helpers=2,
        scrypt_cost=65536,
        file=tmp_path / "agent.toml",
    )


def test_every_key_arrives(load: Callable[..., Settings], tmp_path: Path) -> None:
    settings = load(COMPLETE)
    assert settings == Settings(
        state_dir=Path("/var/lib/papi-backup"),
        host_name="web1.example.org",
        api=ApiSettings(
            socket=Path("/run/papi-backup/agent.sock"),
            socket_group="backup",
            listen="[::]:8480",
            tls_certificate=Path("/etc/papi-backup/tls.crt"),
            tls_key=Path("/etc/papi-backup/tls.key"),
            session_idle_seconds=600,
        ),
        sources={"default": SourceSet(("/etc",)), "data base": SourceSet(("/var/lib/db",), ("*.wal",))},
        timezone="Europe/Rome",
        max_parallel_jobs=2,
        helpers=4,
        nice=19,
        ionice="idle",
        history_count=500,
        history_days=0,
        drain_timeout=5,
        scrypt_cost=1024,
        restore_socket=Path("/run/papi-backup-restore.sock"),
        protected_paths=("/etc/papi-backup",),
        limits=Limits(
            upload=4096 * 1024,
            zone="Europe/Rome",
            windows=(
                Window((0, 4), 8 * 60, 18 * 60 + 30, upload=512 * 1024, nice=19, ionice="idle"),
                Window(EVERY_DAY, 22 * 60, 6 * 60, upload=0, download=8 * 1024),
            ),
        ),
        file=tmp_path / "agent.toml",
    )
    assert (settings.api.listen_host, settings.api.listen_port, settings.api.uses_tls) == ("::", 8480, True)
    assert settings.zone.key == "Europe/Rome"
    assert settings.own_paths == ("/var/lib/papi-backup", str(tmp_path / "agent.toml"), "/etc/papi-backup")


def test_settings_do_not_change(load: Callable[..., Settings]) -> None:
    settings: Any = load(MINIMAL)
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.helpers = 9
    with pytest.raises(TypeError):
        settings.sources["default"] = SourceSet(("/",))


@pytest.mark.parametrize(
    ("key", "line", "problem"),
    [
        ("state_dir", 'state_dir = "relative/dir"', "not an absolute path"),
        ("state_dir", "state_dir = 3", "expected a string"),
        (
            "protected_paths",
            'state_dir = "/s"\nprotected_paths = ["/etc", "opt"]',
            "'opt' is not an absolute",
        ),
        ("protected_paths", 'state_dir = "/s"\nprotected_paths = ["/etc", "/"]', "'/' would leave nothing"),
        ("state_dir", "", "missing"),
        ("state_dirs", 'state_dir = "/s"\nstate_dirs = "/s"', "unknown key"),
        ("host_name", 'state_dir = "/s"\nhost_name = "LocalHost"', "write host_name"),
        ("host_name", 'state_dir = "/s"\nhost_name = "a b"', "spaces"),
        ("host_name", 'state_dir = "/s"\nhost_name = "a/b"', "slashes"),
        ("host_name", f'state_dir = "/s"\nhost_name = "{"é" * 34}"', "longer than 200 bytes"),
        ("timezone", 'state_dir = "/s"\ntimezone = "Europe/Atlantis"', "no IANA timezone"),
        ("timezone", 'state_dir = "/s"\ntimezone = "../../etc/passwd"', "no IANA timezone"),
        ("timezone", 'state_dir = "/s"\ntimezone = "Europe"', "no IANA timezone"),
        ("api", 'state_dir = "/s"\napi = 3', r"expected a table \[api\]"),
    ],
)
def test_a_mistake_at_the_top_names_its_key_and_the_file(
    load: Callable[..., Settings], tmp_path: Path, key: str, line: str, problem: str
) -> None:
    api = "" if key == "api" else '\n[api]\nsocket = "/s/agent.sock"\n'
    with pytest.raises(InvalidParameterError, match=problem) as refused:
        load(line + api)
    assert refused.value.parameter == key
    assert refused.value.message.startswith(f"{key} in {tmp_path / 'agent.toml'}: ")


@pytest.mark.parametrize(
    ("key", "text", "problem"),
    [
        ("api.socket", "[api]", "give a socket, or a listen address"),
        ("api.socket", '[api]\nsocket = "agent.sock"', "not an absolute path"),
        ("api.socket", f'[api]\nsocket = "/{"s" * 107}"', "at most 107 bytes"),
        ("api.sockets", '[api]\nsocket = "/s"\nsockets = "/s"', "unknown key"),
        ("api.listen", '[api]\nlisten = "8480"', "not host:port"),
        ("api.listen", '[api]\nlisten = ":8480"', "not host:port"),
        ("api.listen", '[api]\nlisten = "127.0.0.1:0"', "not host:port"),
        ("api.listen", '[api]\nlisten = "127.0.0.1:65536"', "not host:port"),
        ("api.listen", '[api]\nlisten = "127.0.0.1:٣"', "not host:port"),
        ("api.listen", '[api]\nlisten = "::1:8480"', r"\[address\]:port"),
        ("api.listen", "[api]\nlisten = 8480", "expected a string"),
        ("api.listen", '[api]\nlisten = "0.0.0.0:8480"', "reachable from elsewhere"),
        ("api.listen", '[api]\nlisten = "192.0.2.1:8480"', "reachable from elsewhere"),
        ("api.listen", '[api]\nlisten = "[::]:8480"', "reachable from elsewhere"),
        ("api.listen", '[api]\nlisten = "host.example:8480"', "reachable from elsewhere"),
        ("api.listen", '[api]\nlisten = "127.0.0.1.example:8480"', "reachable from elsewhere"),
        ("api.tls_key", '[api]\nlisten = "0.0.0.0:1"\ntls_certificate = "/c"', "go together"),
        ("api.tls_certificate", '[api]\nlisten = "0.0.0.0:1"\ntls_key = "/k"', "go together"),
        ("api.tls_key", '[api]\nsocket = "/s"\ntls_key = "k"', "not an absolute path"),
        ("api.listen", '[api]\nlisten = "0.0.0.0:1"', 'write tls = "self-made"'),
        ("api.tls", '[api]\nlisten = "0.0.0.0:1"\ntls = "yes"', "self-made"),
        (
            "api.tls",
            '[api]\nlisten = "0.0.0.0:1"\ntls = "self-made"\ntls_certificate = "/c"\ntls_key = "/k"',
            "instead of them",
        ),
        (
            "api.tls_names",
            '[api]\nlisten = "127.0.0.1:1"\ntls_names = ["a"]',
            "a given certificate has its own",
        ),
        (
            "api.tls_names",
            '[api]\nlisten = "0.0.0.0:1"\ntls = "self-made"\ntls_names = ["a b"]',
            "neither a host name nor an IP address",
        ),
        ("api.allowed_origins", '[api]\nsocket = "/s"\nallowed_origins = ["*"]', "no origin"),
        ("api.allowed_origins", '[api]\nsocket = "/s"\nallowed_origins = ["https://a/b"]', "no origin"),
        ("api.allowed_origins", '[api]\nsocket = "/s"\nallowed_origins = ["null"]', "no origin"),
        ("api.session_idle_seconds", '[api]\nsocket = "/s"\nsession_idle_seconds = 0', "whole number"),
        ("jobs.parallel", "[jobs]\nparallel = 0", "from 1 to 64"),
        ("jobs.parallel", "[jobs]\nparallel = true", "whole number"),
        ("jobs.parallel", "[jobs]\nparallel = 1.5", "whole number"),
        ("jobs.helpers", '[jobs]\nhelpers = "2"', "whole number"),
        ("jobs.nice", "[jobs]\nnice = 20", "from 0 to 19"),
        ("jobs.ionice", '[jobs]\nionice = "realtime"', "idle, best-effort, none"),
        ("jobs.paralel", "[jobs]\nparalel = 2", "unknown key"),
        ("limits.upload", "[limits]\nupload = 7", "0, for no limit, or at least 8"),
        ("limits.upload", '[limits]\nupload = "4 MiB"', "whole number"),
        ("limits.download", "[limits]\ndownload = -1", "whole number"),
        ("limits.uplaod", "[limits]\nuplaod = 8", "unknown key"),
        ("limits.windows", "[limits.windows]\nupload = 8", r"tables \[\[limits.windows\]\]"),
        ("limits.windows.1.from", '[[limits.windows]]\nto = "08:00"', "a time of day"),
        ("limits.windows.1.to", '[[limits.windows]]\nfrom = "08:00"\nto = "24:00"', "a time of day"),
        ("limits.windows.1.to", "[[limits.windows]]\nfrom = '08:00'\nto = 18", "expected a string"),
        (
            "limits.windows.1.days",
            '[[limits.windows]]\nfrom = "08:00"\nto = "09:00"\ndays = ["Mon"]',
            "none of mon, tue",
        ),
        (
            "limits.windows.2.nice",
            '[[limits.windows]]\nfrom = "08:00"\nto = "09:00"\n'
            '[[limits.windows]]\nfrom = "08:00"\nto = "09:00"\nnice = 20',
            "from 0 to 19",
        ),
        (
            "limits.windows.1.speed",
            '[[limits.windows]]\nfrom = "08:00"\nto = "09:00"\nspeed = 1',
            "unknown key",
        ),
        ("crypto.scrypt_cost", "[crypto]\nscrypt_cost = 512", "from 1024 to 262144"),
        ("crypto.scrypt_cost", "[crypto]\nscrypt_cost = 524288", "from 1024 to 262144"),
        ("crypto.scrypt_cost", "[crypto]\nscrypt_cost = 65537", "not a power of two"),
        ("crypto.cost", "[crypto]\ncost = 65536", "unknown key"),
        ("sources.default.paths", "[sources.default]", "at least one path"),
        ("sources.default.paths", "[sources.default]\npaths = []", "at least one path"),
        ("sources.default.paths", '[sources.default]\npaths = "/etc"', "list of strings"),
        ("sources.default.paths", '[sources.default]\npaths = ["/etc", 3]', "list of strings"),
        ("sources.default.paths", '[sources.default]\npaths = ["etc"]', "'etc' is not an absolute path"),
        ("sources.default.paths", '[sources.default]\npaths = ["/etc/../srv"]', "without '..'"),
        ("sources.default.excludes", '[sources.default]\npaths = ["/e"]\nexcludes = [""]', "empty pattern"),
        ("sources.default.exclude", '[sources.default]\npaths = ["/e"]\nexclude = []', "unknown key"),
        ("sources.web", "[sources]\nweb = 3", "expected a table"),
        ("logging", "[logging]", "unknown key"),
    ],
)
def test_a_mistake_in_a_table_names_its_key_and_the_file(
    load: Callable[..., Settings], tmp_path: Path, key: str, text: str, problem: str
) -> None:
    api = "" if "[api]" in text else '[api]\nsocket = "/s/agent.sock"\n'
    with pytest.raises(InvalidParameterError, match=problem) as refused:
        load(f'state_dir = "/some/dir"\n{api}{text}\n')
    assert refused.value.parameter == key
    assert refused.value.message.startswith(f"{key} in {tmp_path / 'agent.toml'}: ")


@pytest.mark.parametrize("listen", ["127.0.0.1:1", "127.9.8.7:65535", "[::1]:8480", "localhost:8480"])
def test_loopback_may_be_plain_http(load: Callable[..., Settings], listen: str) -> None:
    settings = load(f'state_dir = "/s"\n[api]\nlisten = "{listen}"\n')
    assert settings.api.listen == listen
    assert settings.api.socket is None
    assert not settings.api.uses_tls


def test_a_file_that_is_missing_or_no_toml_or_no_text_is_named(
    load: Callable[..., Settings], tmp_path: Path
) -> None:
    missing = tmp_path / "missing.toml"
    with pytest.raises(InvalidParameterError, match=f"cannot read {missing}: No such file"):
        load_settings(missing)
    with pytest.raises(InvalidParameterError, match=r"agent\.toml is not TOML: .*line 2"):
        load('state_dir = "/s"\nstate_dir = "/s"\n')
    with pytest.raises(InvalidParameterError, match=r"agent\.toml is not UTF-8 text"):
        load(b'state_dir = "/\xff"\n')


def test_a_host_that_does_not_know_its_name_is_told_what_to_write(load: Callable[..., Settings]) -> None:
    for name in ("localhost", "LOCALHOST", "localhost.localdomain", ""):
        with pytest.raises(InvalidParameterError, match='write host_name = "name.of.this.host"'):  # noqa: RUF043 - the dots match themselves
            load(MINIMAL, fqdn=lambda name=name: name)


def test_the_default_name_is_never_an_address_file_s_localhost_where_the_kernel_knows_better() -> None:
    kernel = socket.gethostname()
    assert fully_qualified_name().lower() != "localhost" or kernel == "localhost"


def test_the_timezone_is_the_files_or_the_environments_or_the_systems_or_utc(
    load: Callable[..., Settings], tmp_path: Path
) -> None:
    link = tmp_path / "rome"
    link.symlink_to("/usr/share/zoneinfo/Europe/Rome")
    plain = tmp_path / "plain"
    plain.write_text("TZif")
    given = 'timezone = "Asia/Kathmandu"\n' + MINIMAL
    cases: list[tuple[str, dict[str, str], Path, str]] = [
        (given, {"TZ": "Europe/Rome"}, link, "Asia/Kathmandu"),
        (MINIMAL, {"TZ": "America/St_Johns"}, link, "America/St_Johns"),
        (MINIMAL, {"TZ": ":America/St_Johns"}, link, "America/St_Johns"),
        (MINIMAL, {"TZ": "no/zone"}, link, "Europe/Rome"),
        (MINIMAL, {"TZ": ""}, link, "Europe/Rome"),
        (MINIMAL, {}, link, "Europe/Rome"),
        (MINIMAL, {}, plain, "UTC"),
        (MINIMAL, {}, tmp_path / "missing", "UTC"),
    ]
    for text, environment, localtime, expected in cases:
        assert load(text, environment=environment, localtime=localtime).timezone == expected


def test_a_backup_covers_its_own_paths_or_its_names_or_the_default_set(
    load: Callable[..., Settings],
) -> None:
    settings = load(COMPLETE)
    cases = [
        (BackupConfig("any", 1, paths=("/opt",), excludes=("*.o",)), SourceSet(("/opt",), ("*.o",))),
        (BackupConfig("data base", 1, paths=("/opt",)), SourceSet(("/opt",))),
        (BackupConfig("data base", 1), SourceSet(("/var/lib/db",), ("*.wal",))),
        (BackupConfig("data base", 1, excludes=("*.o",)), SourceSet(("/var/lib/db",), ("*.wal", "*.o"))),
        (BackupConfig("other", 1), SourceSet(("/etc",))),
    ]
    for config, expected in cases:
        assert settings.sources_for(config) == expected


def test_a_backup_that_covers_nothing_is_refused_with_both_ways_out(load: Callable[..., Settings]) -> None:
    settings = load('state_dir = "/s"\n[api]\nsocket = "/s/agent.sock"\n')
    with pytest.raises(InvalidParameterError, match=r"\[sources\.etc\] nor \[sources\.default\]") as refused:
        settings.sources_for(BackupConfig("etc", 1))
    assert refused.value.parameter == "paths"
