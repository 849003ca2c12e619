# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The TLS of the TCP listener: certificates that were given, or the agent's own, renewed while it serves."""

from __future__ import annotations

import asyncio
import logging
import ssl
import stat
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from papi_backup.config import Settings
from papi_backup.model.errors import InvalidParameterError, PapiError
from papi_backup.state.instants import utcnow
from papi_backup.state.tls import SelfMadeCertificate

log = logging.getLogger(__name__)

LOOK_SECONDS = 3600.0
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""For TLS 1.2; those of TLS 1.3 are all good."""


class ServerTls:
    """Makes the listener's context, and keeps a self-made certificate in it fresh."""

    def __init__(
        self,
        settings: Settings,
        clock: Callable[[], datetime] = utcnow,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        """Nothing is read or made yet.  ``look_seconds``: how often to look whether to renew."""
        self._given = settings.api
        self._own = self_made_of(settings, clock)
        self._look_seconds = look_seconds
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._context.set_ciphers(CIPHERS)

    def context(self) -> ssl.SSLContext:
        """Return the context to serve with; a self-made certificate is made if there is none.

        Raises :class:`StateError`, and :class:`InvalidParameterError` for a given certificate of no use.
        """
        if self._own is not None:
            self._own.ensure()
            self._context.load_cert_chain(self._own.path)
        else:
            self._load_given()
        return self._context

    async def keep_fresh(self) -> None:
        """Renew a self-made certificate in time; connections made from then on get the new one."""
        while self._own is not None:
            await asyncio.sleep(self._look_seconds)
            try:
                if await asyncio.to_thread(self._own.ensure):
                    self._context.load_cert_chain(self._own.path)
            except (PapiError, OSError) as error:
                # The present one is good for weeks; until then somebody reads this.
                log.error("cannot renew the TLS certificate: %s", error)

    def _load_given(self) -> None:
        certificate, key = self._given.tls_certificate, self._given.tls_key
        if certificate is None or key is None:
            raise TypeError("the settings name no certificate")
        try:
            self._context.load_cert_chain(certificate, key)
            _warn_if_readable(key)
        except (OSError, ssl.SSLError) as error:
            files = f"tls_certificate {certificate}, tls_key {key}"
            raise InvalidParameterError(f"{files}: {error}", "tls_certificate") from error


def self_made_of(settings: Settings, clock: Callable[[], datetime] = utcnow) -> SelfMadeCertificate | None:
    """Return the self-made certificate that the settings ask for, if they do."""
    if not settings.api.tls_self_made:
        return None
    return SelfMadeCertificate(settings.state_dir, settings.certificate_names, clock)


def _warn_if_readable(key: Path) -> None:
    mode = stat.S_IMODE(key.stat().st_mode)
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        log.warning("others may read the TLS key %s (mode %04o): chmod 600 %s", key, mode, key)
