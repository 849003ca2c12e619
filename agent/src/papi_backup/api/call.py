# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One call on its way through a handler, and its answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from papi_backup import API_VERSION, __version__
from papi_backup.api.gate import Admission
from papi_backup.api.job_listing import JobListing
from papi_backup.api.parameters import Arguments
from papi_backup.api.views import View, change_view, masked, revealed
from papi_backup.model.account import Identity
from papi_backup.model.catalog import FORMAT_VERSION
from papi_backup.model.secret import Secret
from papi_backup.services.change import Change
from papi_backup.services.container import Services


@dataclass(frozen=True, slots=True)
class AgentInfo:
    """What ``/papi/backup/version`` answers, and the agent's own zone."""

    host_name: str
    instance_id: str
    zone: ZoneInfo

    @property
    def versions(self) -> dict[str, object]:
        """The versions of the agent, its API and its format, and which installation this is."""
        return {
            "agent": __version__,
            "api": API_VERSION,
            "format": FORMAT_VERSION,
            "host_name": self.host_name,
            "instance_id": self.instance_id,
        }


@dataclass(frozen=True, slots=True)
class Call:
    """A call that may be made, with its checked arguments.  ``arrived`` by :func:`time.monotonic`."""

    services: Services
    agent: AgentInfo
    admission: Admission
    identity: Identity
    arguments: Arguments
    listing: JobListing
    arrived: float

    @property
    def zone(self) -> ZoneInfo:
        """The zone that was asked for, else the agent's."""
        return self.arguments.zone("timezone", self.agent.zone)

    @property
    def dry_run(self) -> bool:
        """Whether nothing may change."""
        return self.arguments.flag("dry_run")

    @property
    def show(self) -> Callable[[Secret], str]:
        """How this caller sees secrets."""
        return revealed if self.identity.is_administrator else masked


@dataclass(frozen=True, slots=True)
class Answer:
    """What a handler answers: ``data``, and extension fields ``beside`` it.

    ``document`` goes out as it is, without an envelope, where a method has one.
    """

    data: object = "success"
    document: bytes = b""
    beside: Mapping[str, object] = field(default_factory=dict)
    ends_session: bool = False


Handler = Callable[[Call], Answer]


def answer_change(call: Call, change: Change[View]) -> Answer:
    """Answer a changing call: "success", or for a dry run what would change."""
    return Answer(change_view(change)) if call.dry_run else Answer()
