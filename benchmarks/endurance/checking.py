# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether what was told is so: every success is restored and compared, right then and at the end."""

from __future__ import annotations

import shutil
import time
from dataclasses import replace
from pathlib import Path

from bench.measuring import StepFailedError

from endurance.calls import Calls, Ended
from endurance.drawing import PLACES, Drawn, Place
from endurance.figures import Figures
from endurance.fingerprint import Fingerprint, differences, fingerprint
from endurance.kept import Backup, Kept

QUIET_SECONDS = 240.0
"""How long a restore may take with nothing wrong; a few are usual."""

MAY_EXIST = "may exist"


class Checks:
    """Looks at outcomes.  Every method returns what is wrong, for people; "" or an empty list for nothing.

    While ``degraded``, with a volume server away, a restore may fail with a clear cause.
    """

    def __init__(self, calls: Calls, kept: Kept, figures: Figures, source: Path, scratch: Path) -> None:
        self.degraded = False
        self._calls = calls
        self._kept = kept
        self._figures = figures
        self._source = source
        self._scratch = scratch

    def ended(
        self, drawn: Drawn, ended: Ended, tree: Fingerprint, backup: Backup | None, target: Path
    ) -> str:
        """Look at a job that has just ended."""
        if backup is None:
            return self._written(drawn, ended, tree)
        if ended.code:
            return ""
        if drawn.kind == "plan":
            told = {key: ended.data[key] for key in ("catalog_path", "date", "overwrites")}
            wanted = {"catalog_path": backup.path, "date": backup.date, "overwrites": 0}
            if told != wanted or not ended.data["creates"]:
                return f"a plan of another backup: {ended.data}"
            return ""
        return self._same(backup, target)

    def newest(self, place: Place) -> str:
        """Restore the newest backup."""
        return self._restores(place, self._kept.backups[place][-1])

    def all(self) -> list[str]:
        """Restore every backup, and look at what is told of jobs whose backups exist though they failed."""
        found = []
        for place in PLACES:
            listed = self._calls.backups(place)
            found += [f"{place}: the backup of {date} is gone" for date in self._kept.missing(place, listed)]
            for backup in self._kept.backups[place]:
                wrong = self._restores(place, backup) or self._told(backup)
                found += [f"job {backup.number} on {place}, in the end: {wrong}"] if wrong else []
        return found

    def _written(self, drawn: Drawn, ended: Ended, tree: Fingerprint) -> str:
        """Keep what a job wrote; one that failed may have written a backup too, and so may one before."""
        place = drawn.place
        try:
            listed = self._calls.backups(place)
        except StepFailedError as error:
            return f"backups cannot be listed: {error}"
        new = self._kept.new(place, listed)
        mine = Backup("", "", tree, ended.job_id, drawn.number, told=not ended.code)
        found = [f"the backup of {date} is gone" for date in self._kept.missing(place, listed)]
        if not ended.code:
            if not new:
                return "told as a success, and no backup is listed"
            mine = replace(mine, date=new[-1], path=listed[new.pop()])
            self._kept.add(place, mine)
            found.append(self._restores(place, mine))
        else:
            self._kept.failed[place].append(mine)
        found += [self._untold(place, date, listed[date]) for date in new]
        return "; ".join(filter(None, found))

    def _untold(self, place: Place, date: str, path: str) -> str:
        """Keep a backup whose job was told as failed: its tree is that of one of these jobs."""
        self._figures.untold += 1
        wrong = "no job failed that could have written it"
        for failed in reversed(self._kept.failed[place]):
            backup = replace(failed, date=date, path=path)
            wrong = self._restores(place, backup)
            if not wrong:
                self._kept.failed[place].remove(failed)
                self._kept.add(place, backup)
                return ""
        return f"a backup of {date} is listed that was told by nobody: {wrong}"

    def _restores(self, place: Place, backup: Backup) -> str:
        """Restore a backup and compare."""
        deadline = time.monotonic() + QUIET_SECONDS
        try:
            ended = self._calls.restore(place, backup.date, self._scratch, lambda: deadline)
            if ended.code:
                clear = self.degraded and not ended.wrong
                return "" if clear else f"the backup of {backup.date} does not restore: {ended.words}"
            self._figures.degraded += self.degraded
            return self._same(backup, self._scratch)
        except StepFailedError as error:
            return f"the backup of {backup.date} does not restore: {error}"
        finally:
            shutil.rmtree(self._scratch, ignore_errors=True)

    def _same(self, backup: Backup, target: Path) -> str:
        self._figures.checked += 1
        try:
            found = fingerprint(target / self._source.relative_to("/"))
        except OSError as error:
            return f"of the backup of {backup.date} nothing was restored: {error}"
        other = differences(backup.tree, found)
        return f"the backup of {backup.date} restores otherwise: {other}" if other else ""

    def _told(self, backup: Backup) -> str:
        """Whether a job whose backup exists says so, or at least that it may exist."""
        job = self._calls.job(backup.job_id)
        if job["job_status"] == "success" or MAY_EXIST in job["description"]:
            return ""
        return f"its backup exists, and it says {job['description']!r}"
