# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""agent.toml: the host's own settings, checked whole when they are loaded.

Unknown keys are errors: a misspelt key that is ignored is a backup that does not happen.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from zoneinfo import ZoneInfo

from papi_backup.limit_settings import IO_CLASSES, read_limits
from papi_backup.model.errors import InvalidParameterError
from papi_backup.model.limits import UNLIMITED, Limits
from papi_backup.model.names import MAXIMUM_ESCAPED, escape
from papi_backup.model.origin import normal_origin
from papi_backup.model.schedule import BackupConfig, SourceSet
from papi_backup.toml_table import Table

DEFAULT_FILE = Path("/etc/papi-backup/agent.toml")
DEFAULT_SOURCES = "default"
LOCALTIME = Path("/etc/localtime")
SELF_MADE = "self-made"
_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 (only compared with)
_TLS_NAME = re.compile(r"(?:\*\.)?[A-Za-z0-9_:](?:[A-Za-z0-9_.:-]{0,251}[A-Za-z0-9_:])?")
_SOCKET_PATH_BYTES = 107
_UNNAMED_HOSTS = ("localhost", "localhost.localdomain", "localhost6", "localhost6.localdomain6")


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """``[api]``: the listeners.  ``listen`` is "host:port" or ""; session idle time in seconds.

    ``tls_self_made``: the agent makes its own certificate, for ``tls_names`` besides the host's own.
    ``allowed_origins``: whose pages may use a session's cookie, as :func:`normal_origin` writes them.
    """

    socket: Path | None = None
    socket_group: str = ""
    listen: str = ""
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    session_idle_seconds: int = 1800
    tls_self_made: bool = False
    tls_names: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()

    @property
    def listen_host(self) -> str:
        """Host of ``listen``, without the brackets of an IPv6 address."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def listen_port(self) -> int:
        """Port of ``listen``; 0 when there is no TCP listener."""
        return int(self.listen.rpartition(":")[2] or 0)

    @property
    def uses_tls(self) -> bool:
        """Whether the TCP listener speaks https."""
        return self.tls_self_made or self.tls_certificate is not None


@dataclass(frozen=True, slots=True)
class Settings:
    """agent.toml, checked, with its defaults filled in.

    ``history_count`` and ``history_days`` bound the job history (0 = no bound), ``drain_timeout`` is
    how many seconds a stopping agent waits for its running jobs, ``timezone`` an IANA name,
    ``restore_socket`` where systemd starts the workers of restores (None: the agent forks them itself),
    ``protected_paths`` what no restore may touch beside the agent's state and ``file``.
    """

    state_dir: Path
    host_name: str
    api: ApiSettings = field(default_factory=ApiSettings)
    sources: Mapping[str, SourceSet] = field(default_factory=dict)
    timezone: str = "UTC"
    max_parallel_jobs: int = 1
    helpers: int = 2
    nice: int = 10
    ionice: str = "best-effort"
    history_count: int = 10_000
    history_days: int = 366
    drain_timeout: int = 30
    scrypt_cost: int = 1 << 16
    restore_socket: Path | None = None
    protected_paths: tuple[str, ...] = ()
    limits: Limits = UNLIMITED
    file: Path = DEFAULT_FILE

    @property
    def certificate_names(self) -> tuple[str, ...]:
        """What a self-made certificate is for: this host's name, loopback, and what the settings say."""
        bound = self.api.listen_host if self.api.listen_host not in _EVERYWHERE else ""
        own = (self.host_name, bound, "localhost", "127.0.0.1", "::1")
        return tuple(dict.fromkeys(name for name in (*own, *self.api.tls_names) if name))

    @property
    def own_paths(self) -> tuple[str, ...]:
        """What is of the agent itself: a restore never touches it."""
        return (str(self.state_dir), str(self.file.absolute()), *self.protected_paths)

    @property
    def zone(self) -> ZoneInfo:
        """The agent's own timezone."""
        return ZoneInfo(self.timezone)

    def sources_for(self, config: BackupConfig) -> SourceSet:
        """Return what ``config`` covers: its own paths, else the set of its name, else the default set.

        Excludes of a configuration without paths are added to those of the set.
        Raises :class:`InvalidParameterError` (``paths``) when there is none of them.
        """
        if config.paths:
            return SourceSet(config.paths, config.excludes)
        named = self.sources.get(config.backup_name) or self.sources.get(DEFAULT_SOURCES)
        if named is None:
            raise InvalidParameterError(
                f"backup {config.backup_name!r} names no paths, and {self.file} has neither"
                f" [sources.{config.backup_name}] nor [sources.{DEFAULT_SOURCES}]",
                "paths",
            )
        return SourceSet(named.paths, named.excludes + config.excludes)


_DEFAULT = Settings(state_dir=Path("/"), host_name="")
"""What holds where agent.toml says nothing."""


def fully_qualified_name() -> str:
    """Return what ``hostname -f`` says, or the kernel's own name where that is nothing but "localhost".

    Not ``socket.getfqdn``: it asks what the address is called, and hosts files call it localhost.
    """
    kernel = socket.gethostname()
    try:
        found = socket.getaddrinfo(kernel, None, type=socket.SOCK_STREAM, flags=socket.AI_CANONNAME)
    except OSError:
        return kernel
    canonical = found[0][3]
    return kernel if canonical.lower() in ("", *_UNNAMED_HOSTS) else canonical


def load_settings(
    path: Path,
    *,
    fqdn: Callable[[], str] = fully_qualified_name,
    environment: Mapping[str, str] | None = None,
    localtime: Path = LOCALTIME,
) -> Settings:
    """Read and check ``path``.

    Raises :class:`InvalidParameterError` whose message names the key and the file.
    """
    environment = os.environ if environment is None else environment
    root = _read(path)
    jobs, crypto = root.table("jobs"), root.table("crypto")
    timezone = _timezone(root, environment, localtime)
    settings = Settings(
        state_dir=root.absolute_path("state_dir"),
        host_name=_host_name(root, fqdn),
        api=_api(root.table("api")),
        sources=_sources(root.table("sources")),
        timezone=timezone,
        max_parallel_jobs=jobs.integer("parallel", _DEFAULT.max_parallel_jobs, 1, 64),
        helpers=jobs.integer("helpers", _DEFAULT.helpers, 1, 64),
        nice=jobs.integer("nice", _DEFAULT.nice, 0, 19),
        ionice=jobs.choice("ionice", _DEFAULT.ionice, IO_CLASSES),
        history_count=jobs.integer("history_count", _DEFAULT.history_count, 0, 10_000_000),
        history_days=jobs.integer("history_days", _DEFAULT.history_days, 0, 36_600),
        drain_timeout=jobs.integer("drain_timeout", _DEFAULT.drain_timeout, 0, 86_400),
        scrypt_cost=_scrypt_cost(crypto),
        restore_socket=jobs.optional_path("restore_socket"),
        protected_paths=_protected_paths(root),
        limits=read_limits(root.table("limits"), timezone),
        file=path,
    )
    for table in (jobs, crypto, root):
        table.refuse_unknown()
    return settings


def _read(path: Path) -> Table:
    try:
        return Table(tomllib.loads(path.read_bytes().decode("utf-8")), path)
    except OSError as error:
        raise InvalidParameterError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidParameterError(f"{path} is not UTF-8 text (byte {error.start})") from error
    except tomllib.TOMLDecodeError as error:
        raise InvalidParameterError(f"{path} is not TOML: {error}") from error


def _api(table: Table) -> ApiSettings:
    socket_path = table.optional_path("socket")
    if socket_path is not None and len(os.fsencode(socket_path)) > _SOCKET_PATH_BYTES:
        raise table.error("socket", f"a socket's path has at most {_SOCKET_PATH_BYTES} bytes")
    listen = table.text("listen", _DEFAULT.api.listen)
    certificate, key = table.optional_path("tls_certificate"), table.optional_path("tls_key")
    if (certificate is None) != (key is None):
        missing = "tls_certificate" if certificate is None else "tls_key"
        raise table.error(missing, "tls_certificate and tls_key go together")
    self_made = bool(table.choice("tls", "", ("", SELF_MADE)))
    if self_made and certificate is not None:
        raise table.error("tls", f"tls_certificate and tls_key are given; {SELF_MADE!r} is instead of them")
    if listen:
        _check_listen(table, listen, tls=self_made or certificate is not None)
    elif socket_path is None:
        raise table.error("socket", "give a socket, or a listen address, or both")
    settings = ApiSettings(
        socket=socket_path,
        socket_group=table.text("socket_group", _DEFAULT.api.socket_group),
        listen=listen,
        tls_certificate=certificate,
        tls_key=key,
        session_idle_seconds=table.integer(
            "session_idle_seconds", _DEFAULT.api.session_idle_seconds, 10, 604_800
        ),
        tls_self_made=self_made,
        tls_names=_tls_names(table, self_made),
        allowed_origins=_allowed_origins(table),
    )
    table.refuse_unknown()
    return settings


def _check_listen(table: Table, listen: str, *, tls: bool) -> None:
    host, colon, port = listen.rpartition(":")
    if not (colon and host and port.isascii() and port.isdigit() and 0 < int(port) < 1 << 16):
        raise table.error("listen", f"{listen!r} is not host:port with a port from 1 to 65535")
    bracketed = host.startswith("[") and host.endswith("]")
    if (":" in host) != bracketed:
        raise table.error("listen", "an IPv6 address is written [address]:port")
    if not tls and not _is_loopback(host.strip("[]")):
        raise table.error(
            "listen",
            f"{listen!r} is reachable from elsewhere and needs TLS: give tls_certificate and tls_key,"
            f' or write tls = "{SELF_MADE}" for a certificate of the agent\'s own, or listen on 127.0.0.1',
        )


def _tls_names(table: Table, self_made: bool) -> tuple[str, ...]:
    names = table.texts("tls_names")
    if names and not self_made:
        raise table.error("tls_names", f'these are for tls = "{SELF_MADE}"; a given certificate has its own')
    for name in names:
        if not _TLS_NAME.fullmatch(name):
            raise table.error("tls_names", f"{name!r} is neither a host name nor an IP address")
    return names


def _allowed_origins(table: Table) -> tuple[str, ...]:
    given = table.texts("allowed_origins")
    for origin in given:
        if not normal_origin(origin):
            raise table.error(
                "allowed_origins",
                f"{origin!r} is no origin: write https://host or https://host:port, no path",
            )
    return tuple(dict.fromkeys(normal_origin(origin) for origin in given))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        # A name may resolve to anything tomorrow; only this one is promised (RFC 6761).
        return host == "localhost"


def _sources(table: Table) -> Mapping[str, SourceSet]:
    found = {}
    for name in table.names():
        entry = table.table(name)
        paths = entry.texts("paths")
        if not paths:
            raise entry.error("paths", "name at least one path")
        for path in paths:
            _check_source_path(entry, path)
        excludes = entry.texts("excludes")
        if "" in excludes:
            raise entry.error("excludes", "an empty pattern excludes nothing")
        entry.refuse_unknown()
        found[name] = SourceSet(tuple(os.path.normpath(path) for path in paths), excludes)
    return MappingProxyType(found)


def _check_source_path(table: Table, path: str) -> None:
    if not path.startswith("/") or "\0" in path or ".." in path.split("/"):
        raise table.error("paths", f"{path!r} is not an absolute path without '..'")


def _protected_paths(root: Table) -> tuple[str, ...]:
    paths = root.absolute_paths("protected_paths")
    for path in paths:
        if not path.strip("/"):
            raise root.error("protected_paths", f"{path!r} would leave nothing to be restored in its place")
    return paths


def _host_name(root: Table, fqdn: Callable[[], str]) -> str:
    given = root.text("host_name", "")
    name = (given or fqdn()).strip().lower()
    if not name or name in _UNNAMED_HOSTS:
        raise root.error(
            "host_name",
            f"this host calls itself {name or 'nothing'!r}, which would mix its backups with other hosts':"
            ' write host_name = "name.of.this.host"',
        )
    if any(character.isspace() or not character.isprintable() or character == "/" for character in name):
        raise root.error("host_name", f"{name!r} has spaces, slashes or control characters")
    try:
        escape(name)
    except InvalidParameterError:
        text = f"longer than {MAXIMUM_ESCAPED} bytes as a name on a storage"
        raise root.error("host_name", text) from None
    return name


def _timezone(root: Table, environment: Mapping[str, str], localtime: Path) -> str:
    given = root.text("timezone", "")
    if given:
        if not _is_zone(given):
            raise root.error("timezone", f"{given!r} is no IANA timezone known to this host")
        return given
    candidates = (environment.get("TZ", "").removeprefix(":"), _linked_zone(localtime))
    return next((name for name in candidates if _is_zone(name)), _DEFAULT.timezone)


def _linked_zone(localtime: Path) -> str:
    """Return the zone that the link names: what follows "zoneinfo/" in its target; "" where it is no link."""
    if not localtime.is_symlink():
        return ""
    return os.path.realpath(localtime).partition("/zoneinfo/")[2]


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # malformed or a directory; unreadable; not found
        return False
    return True


def _scrypt_cost(table: Table) -> int:
    cost = table.integer("scrypt_cost", _DEFAULT.scrypt_cost, 1 << 10, 1 << 18)
    if cost & (cost - 1):
        raise table.error("scrypt_cost", f"{cost} is not a power of two")
    return cost
