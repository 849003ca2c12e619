# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real worker with the real engine, on a clock that a test sets in a file (no test by itself)."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path

from papi_backup.engine.backup import run_backup
from papi_backup.engine.storage.opener import opener_for
from papi_backup.jobs.orders import HostKeySeen
from papi_backup.jobs.worker import RealEngine, Report, main
from papi_backup.model.job import BackupOrder, JobResult

CLOCK_FILE = "clock"


def nobody_hears(message: HostKeySeen) -> None:
    """The storages of these tests show no host key."""
    raise AssertionError(message)


class ClockedEngine(RealEngine):
    def backup(self, order: BackupOrder, report: Report) -> JobResult:
        clock = Path(order.state_dir) / CLOCK_FILE
        return run_backup(
            order, opener_for(order.access), report, lambda: datetime.fromisoformat(clock.read_text())
        )


if __name__ == "__main__":
    sys.exit(main(engine=ClockedEngine(nobody_hears)))
