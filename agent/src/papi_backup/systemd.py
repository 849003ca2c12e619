# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the agent tells systemd (sd_notify); nothing of it does anything elsewhere."""

from __future__ import annotations

import os
from collections.abc import Mapping

import sdnotify

NOTIFY_SECONDS = 1.0
"""How long one message may wait for room in the service manager's queue; then it is dropped."""


class Systemd:
    """The service manager that started this process, if one did."""

    def __init__(self, environment: Mapping[str, str] | None = None, process: int | None = None) -> None:
        environment = os.environ if environment is None else environment
        self._notifier = sdnotify.SystemdNotifier()
        if self._notifier.socket is not None:
            # A service manager that does not read must not stop the agent, nor keep it from stopping.
            self._notifier.socket.settimeout(NOTIFY_SECONDS)
        self._status = ""
        self.watchdog_seconds = _watchdog_seconds(environment, os.getpid() if process is None else process)
        """Seconds after which systemd takes the agent for dead; 0 when it does not watch."""

    def ready(self) -> None:
        """Say that the agent answers requests."""
        self._notifier.notify("READY=1")

    def status(self, text: str) -> None:
        """Show ``text`` in ``systemctl status``; the same text is sent once."""
        if text != self._status:
            self._status = text
            line = text.replace("\n", " ").encode("utf-8", "replace")
            # sdnotify writes Latin-1, which takes each byte as it is.
            self._notifier.notify("STATUS=" + line.decode("latin-1"))

    def alive(self) -> None:
        """Feed the watchdog."""
        if self.watchdog_seconds:
            self._notifier.notify("WATCHDOG=1")

    def stopping(self) -> None:
        """Say that the agent has begun to stop."""
        self._notifier.notify("STOPPING=1")

    def needs_longer(self, seconds: float) -> None:
        """Ask for ``seconds`` more before systemd loses patience with a start or a stop."""
        self._notifier.notify(f"EXTEND_TIMEOUT_USEC={round(seconds * 1e6)}")


def _watchdog_seconds(environment: Mapping[str, str], process: int) -> float:
    """Read what sd_watchdog_enabled(3) reads: the interval, unless it is meant for another process."""
    interval, meant = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
    if not interval.isascii() or not interval.isdigit() or meant not in ("", str(process)):
        return 0.0
    return int(interval) / 1e6
