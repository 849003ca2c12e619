# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run: job after job, each looked at as soon as it has ended, and all backups once more at the end."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from endurance.blows import Blows
from endurance.calls import Calls, Ended
from endurance.checking import Checks
from endurance.drawing import PLACES, Blow, Drawn
from endurance.figures import Figures
from endurance.fingerprint import Fingerprint, fingerprint
from endurance.kept import Backup, Kept
from endurance.places import Places
from endurance.resources import taken_by
from endurance.source import change_source

JOB_SECONDS = 240.0
"""How long a job may take once nothing is wrong any more.

An attempt under way waits for an answer for up to 60 seconds, the pause after it is up to 20, a new
connection up to 55 (connect, handshake, login); a quiet job takes a few.  The rest is for a machine that is
busy.
"""


class Run:
    """The jobs of one seed on running places.  ``wrong`` lists what was not as it should be."""

    def __init__(self, places: Places, source: Path, scratch: Path, seed: int) -> None:
        self.figures = Figures()
        self.wrong: list[str] = []
        self._places = places
        self._source = source
        self._target = scratch / "restored"
        self._seed = seed
        self._kept = Kept()
        self._calls = Calls(places.agent)
        self._checks = Checks(self._calls, self._kept, self.figures, source, scratch / "checked")
        self._log_read = 0

    def begin(self) -> None:
        """Give each place a first backup, with nothing wrong."""
        for place in PLACES:
            first = Drawn(0, place, "full", 0.0, ())
            self._look_at(self._run(first, str(first)))

    def job(self, number: int, drawn: Drawn) -> None:
        """Change the tree and run a job; see ``wrong`` afterwards."""
        change_source(self._source, self._seed, number)
        self._look_at(self._run(drawn, str(drawn)))

    def end(self) -> None:
        """Look at every backup once more, and at what the jobs are told as by now."""
        self._look_at(self._checks.all())

    def _look_at(self, found: list[str]) -> None:
        self.wrong += found
        if not self._calls.answers():
            self.wrong.append("the agent does not answer any more")
        log = self._places.agent.log.read_text(errors="replace")
        if "Traceback" in log[self._log_read :]:
            self.wrong.append(f"a traceback in the agent's log: {log[self._log_read :][-3000:]}")
        self._log_read = len(log)
        self.figures.samples.append(taken_by(self._places.agent.pid))

    def _run(self, drawn: Drawn, name: str) -> list[str]:
        tree = fingerprint(self._source)
        backup = None if drawn.kind in ("full", "inc") else self._kept.chosen(drawn.place, drawn.chosen)
        ended, blows = self._under(drawn, backup, drawn.blows)
        self.figures.count(drawn, ended, blows)
        self._checks.degraded = blows.away is not None
        found = [ended.wrong, self._checks.ended(drawn, ended, tree, backup, self._target)]
        if blows.away is not None:
            self._places.cluster.bring_back(blows.away)
            self._checks.degraded = False
        if "kill" in blows.dealt:
            found += self._after_the_kill(drawn, ended, tree, backup)
        self._remove_target()
        befell = ", ".join(f"{action} {count}" for action, count in sorted(blows.dealt.items()))
        told = f"{ended.code or 'success'} after {ended.seconds:.1f} s; {befell or 'nothing'} befell it"
        print(f"{name:<20} {told}", flush=True)
        return [f"{name}: {what}" for what in found if what]

    def _after_the_kill(
        self, drawn: Drawn, ended: Ended, tree: Fingerprint, backup: Backup | None
    ) -> list[str]:
        """Have what failed repeated, which has to be a success; look once more at what was one."""
        if not ended.code:
            return [self._checks.newest(drawn.place)]
        self._remove_target()
        again, _blows = self._under(drawn, backup, ())
        self.figures.repeated += 1
        if again.code:
            return [f"fails with all servers back: {again.words}"]
        return [self._checks.ended(drawn, again, tree, backup, self._target)]

    def _under(self, drawn: Drawn, backup: Backup | None, dealt: tuple[Blow, ...]) -> tuple[Ended, Blows]:
        """Run the job while blows are dealt."""
        with Blows(dealt, self._places.proxies[drawn.place], self._places.cluster) as blows:
            return self._call(drawn, backup, lambda: blows.sound_since + JOB_SECONDS), blows

    def _call(self, drawn: Drawn, backup: Backup | None, patience: Callable[[], float]) -> Ended:
        if backup is None:
            return self._calls.back_up(drawn.place, drawn.kind, patience)
        if drawn.kind == "restore":
            return self._calls.restore(drawn.place, backup.date, self._target, patience)
        return self._calls.plan(drawn.place, backup.date, self._target)

    def _remove_target(self) -> None:
        shutil.rmtree(self._target, ignore_errors=True)
