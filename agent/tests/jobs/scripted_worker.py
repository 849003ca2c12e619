# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real worker process with an engine that does what the backup's name says (no test by itself)."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from papi_backup.engine.termination import refuse_termination
from papi_backup.jobs.orders import HostKeySeen, dump_message
from papi_backup.jobs.worker import Report, main
from papi_backup.model.errors import DecryptionKeyError, TransferError
from papi_backup.model.job import BackupOrder, JobResult, Progress, RestoreOrder
from papi_backup.model.secret import Secret


class ScriptedEngine:
    def backup(self, order: BackupOrder, report: Report) -> JobResult:
        report(Progress(files_done=1, files_total=7))
        act = order.backup_name.partition("-")[0]
        if act == "sleeps":
            note(order, "sleeps", f"{os.getpid()} {spawn_helper()}")
            time.sleep(60)
        elif act == "ignores":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            note(order, "ignores", f"{os.getpid()} {spawn_helper()}")
            time.sleep(60)
        elif act == "stumbles":
            stumble(order)
        elif act in ("commits", "vanishes", "stumbles_late"):
            (commit if act == "commits" else get_lost)(order, act, report)
        elif act == "tidies":
            tidy(order)
        elif act == "waits":
            wait_for(state_of(order) / "go")
        elif act == "crashes":
            note(order, "helper", str(spawn_helper()))
            os.kill(os.getpid(), signal.SIGKILL)
        elif act == "exits":
            os._exit(7)
        elif act == "mistakes":
            raise ZeroDivisionError(f"with the key {order.encryption_key.reveal()} in the text")
        elif act == "refuses":
            raise DecryptionKeyError(f"key {order.encryption_key.reveal()} does not open chain c1")
        elif act == "babbles":
            os.write(message_pipe(), b"no message\n")
            time.sleep(60)
        elif act in ("lingers", "meets", "meets_late"):
            linger(order, report)
        note(order, "nice", str(os.nice(0)))
        return result(order)

    def restore(self, order: RestoreOrder, report: Report) -> JobResult:
        report(Progress(bytes_done=5))
        act = order.options.backup_name.partition("-")[0]
        if act == "sleeps":
            note(order, "sleeps", f"{os.getpid()} {spawn_helper()}")
            time.sleep(60)
        elif act == "exits":
            os._exit(7)
        text = f"restored {order.options.backup_name} of {order.options.hostname}"
        mark = f"after-{order.high_water or 'nothing'}" if act == "raises" else ""
        return JobResult(text, "inc", 5, 1, 5, 0, high_water=mark)


def linger(order: BackupOrder, report: Report) -> None:
    act, _dash, shown = order.backup_name.partition("-")
    if act == "meets_late":
        report(Progress(committing=True))
        wait_for(state_of(order) / "go")
    if act != "lingers":
        os.write(message_pipe(), dump_message(HostKeySeen(f"ssh-ed25519 {shown}")))
    if act == "meets_late":
        time.sleep(60)
    else:
        spawn_helper()


def result(order: BackupOrder) -> JobResult:
    return JobResult(
        description="the previous backup is gone, so this one is full",
        backup_type="full",
        size_transferred=1234,
        files=3,
        bytes_read=99,
        bytes_stored=77,
        warnings=("could not read /a",),
        backup_date=datetime(2026, 1, 2, tzinfo=UTC),
        chain="c1",
        chain_key=Secret("chain-key-text"),
        high_water=f"after-{order.high_water or 'nothing'}",
    )


def get_lost(order: BackupOrder, act: str, report: Report) -> None:
    """Begin to write the manifest, and tell no success."""
    report(Progress(committing=True))
    if act == "stumbles_late":
        raise TransferError("the storage does not answer")
    note(order, act, order.backup)
    wait_for(Path(order.state_dir) / "go")
    os.kill(os.getpid(), signal.SIGKILL)


def tidy(order: BackupOrder) -> None:
    """Work with a helper; both say how they ended, the helper first if it was asked to end at once."""

    def help_out() -> None:
        try:
            note(order, "tidies", "ready")
            time.sleep(60)
        finally:
            note(order, "helper-tidied", "done")

    helper = multiprocessing.get_context("fork").Process(target=help_out, daemon=True)
    helper.start()
    try:
        time.sleep(60)
    finally:
        helper.join(10)
        note(order, "tidied", f"the helper ended with {helper.exitcode}")


def commit(order: BackupOrder, act: str, report: Report) -> None:
    """Reach the point of no return, as with a manifest, and have more to do."""
    del act, report
    refuse_termination()
    note(order, "commits", str(os.getpid()))
    wait_for(Path(order.state_dir) / "go")


def stumble(order: BackupOrder) -> None:
    """Fail over the storage while what was begun is taken back."""
    try:
        note(order, "stumbles", str(os.getpid()))
        time.sleep(60)
    finally:
        raise TransferError("the storage does not answer")


def spawn_helper() -> int:
    """Fork as the engine does: the helper inherits the message pipe and would outlive a killed worker."""
    helper = os.fork()
    if helper == 0:
        time.sleep(60)
        os._exit(0)
    return helper


def state_of(order: BackupOrder | RestoreOrder) -> Path:
    return Path(order.state_dir if isinstance(order, BackupOrder) else order.own_paths[0])


def note(order: BackupOrder | RestoreOrder, name: str, text: str) -> None:
    draft = state_of(order) / f"{name}.draft"
    draft.write_text(text)
    draft.rename(state_of(order) / name)


def wait_for(path: Path) -> None:
    while not path.exists():
        time.sleep(0.01)


def message_pipe() -> int:
    return int(sys.argv[sys.argv.index("--messages") + 1])


if __name__ == "__main__":
    sys.exit(main(engine=ScriptedEngine()))
