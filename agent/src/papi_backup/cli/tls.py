# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``papi-backup tls``: what clients of the TCP listener have to trust (docs/accounts.md)."""

from __future__ import annotations

import argparse
from pathlib import Path

from papi_backup.api.tls import self_made_of
from papi_backup.cli.parser import Commands, Parser
from papi_backup.config import SELF_MADE, Settings, load_settings
from papi_backup.model.errors import InvalidParameterError
from papi_backup.state.tls import SelfMadeCertificate, facts_in


def add_commands(commands: Commands[Parser]) -> None:
    """Add ``tls show|authority``."""
    tls = commands.add_parser("tls", help="tell what clients have to trust")
    actions = tls.add_subparsers(required=True, metavar="ACTION")
    show = actions.add_parser("show", help="print the certificate's names, end and SHA-256 fingerprint")
    show.set_defaults(run=_show)
    authority = actions.add_parser("authority", help="print the self-made authority's certificate (PEM)")
    authority.set_defaults(run=_authority)


def _show(options: argparse.Namespace) -> None:
    settings = load_settings(options.config)
    for what, file in _certificates(settings):
        facts = facts_in(file)
        print(f"{what:<12} {file}")
        print(f"{'  names':<12} {', '.join(facts.names) or '(none)'}")
        print(f"{'  until':<12} {facts.expires.astimezone(settings.zone).isoformat(' ', 'minutes')}")
        print(f"{'  sha256':<12} {facts.fingerprint}")


def _authority(options: argparse.Namespace) -> None:
    settings = load_settings(options.config)
    own = _made(settings)
    if own is None:
        text = f'only with tls = "{SELF_MADE}" the agent has an authority of its own'
        raise InvalidParameterError(f"{settings.file}: {text}", "tls")
    print(own.authority_pem(), end="")


def _certificates(settings: Settings) -> list[tuple[str, Path]]:
    own = _made(settings)
    if own is not None:
        return [("certificate", own.path), ("authority", own.authority_path)]
    if settings.api.tls_certificate is None:
        raise InvalidParameterError(f"{settings.file}: [api] asks for no TLS", "tls")
    return [("certificate", settings.api.tls_certificate)]


def _made(settings: Settings) -> SelfMadeCertificate | None:
    """Make it already now, so that clients can be set up before the agent first runs."""
    own = self_made_of(settings)
    if own is not None:
        own.ensure()
    return own
