# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent in the foreground: ``papi-backup-agent --config FILE`` (docs/architecture.md, "Processes").

Exit status: 0 after a stop that was asked for, 2 for a bad command line or agent.toml, 1 for all
else that keeps it from running, such as another Python in the place of its own.  Imports neither
boto3 nor paramiko nor the engine: those live in worker and query processes.
"""

from __future__ import annotations

import argparse
import logging
import os
import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from papi_backup import __version__
from papi_backup.agent import Agent
from papi_backup.config import DEFAULT_FILE, load_settings
from papi_backup.confinement import keep_to_itself
from papi_backup.interpreter import Interpreter
from papi_backup.model.errors import InvalidParameterError, PapiError
from papi_backup.state.room import words_of
from papi_backup.stop_signals import StopSignals
from papi_backup.systemd import Systemd

log = logging.getLogger(__name__)

LOOK_SECONDS = 5.0
"""How often the agent looks after its loops, its status and the watchdog, at most."""

DRAIN_LOOK_SECONDS = 0.2
BAD_CONFIGURATION = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the agent until SIGTERM or SIGINT; returns the exit status."""
    parser = argparse.ArgumentParser(prog="papi-backup-agent", description="The papi.backup agent.")
    parser.add_argument("--config", type=Path, default=DEFAULT_FILE, help="agent.toml (default: %(default)s)")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    options = parser.parse_args(arguments)
    keep_to_itself()
    log_to_stderr()
    raise_descriptor_limit()
    try:
        settings = load_settings(options.config)
    except PapiError as error:
        return _refuse(error.message, BAD_CONFIGURATION)
    with StopSignals() as signals:
        try:
            with Agent.open(settings) as agent:
                return watch(agent, signals, Systemd(), Interpreter())
        except InvalidParameterError as error:  # what only the attempt shows, such as an unusable certificate
            return _refuse(f"{options.config}: {error.message}", BAD_CONFIGURATION)
        except PapiError as error:
            return _refuse(error.message, 1)
        except OSError as error:
            return _refuse(words_of(error.filename, error) if error.filename else str(error), 1)


def watch(agent: Agent, signals: StopSignals, systemd: Systemd, interpreter: Interpreter) -> int:
    """Start the agent, look after it until a stop signal comes, then stop it in order; return its status.

    Where another Python has taken the place of its own it stops too: no job could be started any more.
    """
    agent.start()
    systemd.ready()
    log.info("papi-backup-agent %s is ready on %s", __version__, agent.settings.host_name)
    interval = min(LOOK_SECONDS, systemd.watchdog_seconds / 3 or LOOK_SECONDS)
    look_after(agent, systemd)
    told = False
    while not (told := signals.wait(interval)):
        look_after(agent, systemd)
        if interpreter.has_changed():
            log.error("the Python that this agent runs on has changed or is gone: starting again")
            break
    systemd.stopping()
    log.info("stopping")
    agent.refuse_requests()
    if not told and drain(agent, signals, systemd):
        log.info("told to stop meanwhile")
        told = True
    if told and drain(agent, signals, systemd):
        log.warning("told to stop again: ending the running jobs now")
    log.info("stopped")
    return 0 if told else 1


def look_after(agent: Agent, systemd: Systemd) -> None:
    """Feed the watchdog if every loop of the agent lives, and tell its status."""
    stuck = agent.stuck()
    if stuck:
        log.error("stuck: %s", ", ".join(stuck))
        systemd.status("stuck: " + ", ".join(stuck))
        return
    systemd.alive()
    try:
        systemd.status(agent.status())
    except PapiError as error:
        systemd.status(error.message)


def drain(agent: Agent, signals: StopSignals, systemd: Systemd) -> bool:
    """Let running jobs end within the drain timeout; return whether a stop signal came before that."""
    deadline = time.monotonic() + agent.settings.drain_timeout
    while not agent.drained and time.monotonic() < deadline:
        look_after(agent, systemd)
        systemd.needs_longer(DRAIN_LOOK_SECONDS + 30)
        if signals.wait(DRAIN_LOOK_SECONDS):
            return True
    return False


def raise_descriptor_limit() -> None:
    """Allow as many descriptors as may be: the connections of two listeners come near the usual 1024."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    except (OSError, ValueError) as error:
        log.warning("the limit of open files stays as it is: %s", error)


def log_to_stderr() -> None:
    """Log to standard error; the journal has its own times."""
    times = "" if os.environ.get("JOURNAL_STREAM") else "%(asctime)s "
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format=times + "%(levelname)s %(name)s: %(message)s"
    )


def _refuse(reason: str, status: int) -> int:
    print(f"papi-backup-agent: {' '.join(reason.split())}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
