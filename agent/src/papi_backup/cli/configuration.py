# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``papi-backup check-config``: what agent.toml means, before the agent is started with it."""

from __future__ import annotations

import argparse

from papi_backup.cli.parser import Commands, Parser
from papi_backup.config import Settings, load_settings


def add_commands(commands: Commands[Parser]) -> None:
    """Add ``check-config``."""
    check = commands.add_parser("check-config", help="check the settings and print what they mean")
    check.set_defaults(run=_check)


def _check(options: argparse.Namespace) -> None:
    for name, value in _summary(load_settings(options.config)):
        print(f"{name:<12} {value}")


def _summary(settings: Settings) -> list[tuple[str, str]]:
    api = settings.api
    lines = [
        ("file", str(settings.file)),
        ("state", str(settings.state_dir)),
        ("host name", settings.host_name),
        ("timezone", settings.timezone),
    ]
    if api.socket is not None:
        group = f" (group {api.socket_group})" if api.socket_group else ""
        lines.append(("socket", f"{api.socket}{group}"))
    if api.listen:
        lines.append(("listen", f"{'https' if api.uses_tls else 'http'}://{api.listen}"))
    for name, sources in settings.sources.items():
        excludes = f" without {', '.join(sources.excludes)}" if sources.excludes else ""
        lines.append((f"[{name}]", f"{', '.join(sources.paths)}{excludes}"))
    return lines
