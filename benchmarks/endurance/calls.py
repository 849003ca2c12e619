# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs and questions to the agent, and how each ended."""

from __future__ import annotations

import http.client
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.agent_api import answer_of, call
from bench.measuring import StepFailedError

from endurance.drawing import Place
from endurance.places import KEY
from realparts.agent import Agent

ALLOWED = (4000, 4001, 4005)
"""The codes that a storage which cannot be had may cost a job."""

BUSY = 3014
"""The code of a question to a server that still owes the answer to another."""

TURN_SECONDS = 60.0
LOOK_SECONDS = 0.03
_WORDS = re.compile(r"(?:\[\d{4}\] )?\S+( \S+){3,}", re.DOTALL)
_NO_WORDS = re.compile(r"Traceback|object at 0x|\b[A-Z][A-Za-z]+(Error|Exception)\b")


@dataclass(frozen=True, slots=True)
class Ended:
    """How a job or a question ended; ``code`` is 0 for a success, ``seconds`` how long it took."""

    code: int
    words: str
    seconds: float
    job_id: int = 0
    data: Any = None

    @property
    def wrong(self) -> str:
        """What is wrong with how a failure was told; "" for nothing."""
        if self.code and self.code not in ALLOWED:
            return f"told with {self.code}: {self.words}"
        if self.code and (not _WORDS.match(self.words) or _NO_WORDS.search(self.words)):
            return f"told in no words for people: {self.words}"
        return ""


class HungError(Exception):
    """A job did not end in its time."""


class Calls:
    """What a run asks of the agent.  Every method waits for the end."""

    def __init__(self, agent: Agent) -> None:
        self._socket = agent.socket

    def back_up(self, place: Place, kind: str, patience: Callable[[], float]) -> Ended:
        """Run a backup.  ``patience`` tells by when it has to end; raises :class:`HungError`."""
        return self._job(patience, "backup/run", backup_name=place, backup_type=kind)

    def restore(self, place: Place, date: str, target: Path, patience: Callable[[], float]) -> Ended:
        """Run a restore of the backup of a date."""
        return self._job(patience, "backup/restore", **_asked(place, date, target))

    def plan(self, place: Place, date: str, target: Path) -> Ended:
        """Ask what a restore would do."""
        began = time.monotonic()
        answer = answer_of(self._socket, "backup/restore", **_asked(place, date, target), dry_run=1)
        code, words = int(answer.get("error_code", 0)), str(answer.get("error", ""))
        return Ended(code, words, time.monotonic() - began, data=answer.get("data"))

    def backups(self, place: Place) -> dict[str, str]:
        """Return the paths of a place's backups by date, oldest first.  Raises StepFailedError."""
        until = time.monotonic() + TURN_SECONDS
        while True:
            answer = answer_of(self._socket, "backup/list", storage_name=place, timezone="UTC")
            if answer.get("error_code") != BUSY or time.monotonic() > until:
                break
            time.sleep(LOOK_SECONDS)
        if not answer["success"]:
            raise StepFailedError(f"backup/list: {answer['error_code']} {answer['error']}")
        return {one["date"]: one["path"] for one in answer["data"][place].get(place, ())}

    def job(self, job_id: int) -> dict[str, Any]:
        """Return a job as the agent tells it."""
        found: list[dict[str, Any]] = call(self._socket, "job/list")["data"]
        return next(one for one in found if one["job_id"] == job_id)

    def answers(self) -> bool:
        """Tell whether the agent says that it is there."""
        try:
            return bool(call(self._socket, "ping"))
        except (OSError, http.client.HTTPException, ValueError):
            return False

    def _job(self, patience: Callable[[], float], method: str, **parameters: str | int) -> Ended:
        began = time.monotonic()
        job_id = int(call(self._socket, method, **parameters)["job_id"])
        while True:
            found = self.job(job_id)
            if found["job_status"] in ("success", "failed"):
                seconds = time.monotonic() - began
                return Ended(int(found["error_code"]), str(found["description"]), seconds, job_id)
            if time.monotonic() > patience():
                raise HungError(f"job {job_id} has not ended after {time.monotonic() - began:.0f} s: {found}")
            time.sleep(LOOK_SECONDS)


def _asked(place: Place, date: str, target: Path) -> dict[str, str | int]:
    return {
        "storage_name": place,
        "backup_name": place,
        "restore_date": date,
        "timezone": "UTC",
        "encryption_key": KEY,
        "target_dir": str(target),
    }
