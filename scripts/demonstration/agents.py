# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agents of the demonstration: started by hand in the foreground, each with a state of its own."""

from __future__ import annotations

from demonstration.layout import DemoError, Layout
from realparts.agent import Agent
from realparts.process import ServerError


class DemoAgent(Agent):
    """A running agent whose log lies with the others'; a context manager."""

    def __init__(self, layout: Layout, name: str, host_name: str) -> None:
        super().__init__(layout.root / name, host_name, layout.logs / f"{name}.log")

    def start(self) -> None:
        """Start the agent; raises :class:`DemoError` when it does not answer."""
        try:
            super().start()
        except (ServerError, OSError) as error:
            raise DemoError(f"the agent of {self.host_name} does not answer: {error}") from error
