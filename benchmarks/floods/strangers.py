# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The strangers of one process, for one round."""

from __future__ import annotations

import os
import random
import ssl
import threading
import time
from collections import Counter
from dataclasses import dataclass
from multiprocessing.queues import Queue

from floods.kinds import KINDS, Door

ACCOUNT = "owner"


@dataclass(frozen=True)
class Round:
    """Which kinds come at once, and by how many threads of each process."""

    kinds: tuple[str, ...]
    threads: int
    seed: int


def strangers(port: int, tls: bool, flood: Round, seconds: float, counts: Queue[Counter[str]]) -> None:
    """Be the strangers of one process."""
    # A probe beside them shall measure the agent, not who gets a core first.
    os.nice(1)
    door = Door(port, trusting() if tls else None, ACCOUNT)
    end = time.monotonic() + seconds
    done: Counter[str] = Counter()

    def stranger(number: int) -> None:
        chance = random.Random(flood.seed * 1000 + number)  # noqa: S311 (repeatable, no secret)
        while time.monotonic() < end:
            kind = chance.choice(flood.kinds)
            try:
                KINDS[kind](door, chance)
                done[kind] += 1
            except OSError:
                done[f"{kind}, hung up on"] += 1
                time.sleep(0.01)

    threads = [threading.Thread(target=stranger, args=(number,)) for number in range(flood.threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counts.put(done)


def trusting() -> ssl.SSLContext:
    """Return a context that takes any certificate."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
