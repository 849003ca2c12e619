# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Has strangers flood a real agent in turns of randomly chosen kinds, while its owners go on calling it.

    make torture-floods                     # 30 minutes
    scripts/torture-floods --minutes 1 --seed 7

The first half of the time the listener speaks plain http, the second half TLS.  Strangers come from addresses
of 127.0.0.0/8 alone.  The seed is printed first and decides which kinds come when.  The program fails when a
call of an owner fails or waits for longer than its bar.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import secrets
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.queues import Queue
from pathlib import Path

from api_latency import free_port, running

from floods.kinds import KINDS
from floods.probes import PASSWORD, Owners, Probe, probes
from floods.strangers import ACCOUNT, Round, strangers, trusting
from papi_backup.model.secret import Secret
from papi_backup.state.store import Store

ROUND_SECONDS = 20.0
PROCESSES = 2
THREADS = (20, 75)
"""Of each process, at least and at most."""

VISITOR = "visitor"


@contextmanager
def agent(tls: bool) -> Iterator[Owners]:
    """Run an agent with an account and a token."""
    with tempfile.TemporaryDirectory(prefix="papi-floods-") as name:
        directory, port = Path(name), free_port()
        config = directory / "agent.toml"
        secure = 'tls = "self-made"\n' if tls else ""
        config.write_text(
            f'state_dir = "{directory}/state"\nhost_name = "floods.example"\n[api]\n'
            f'socket = "{directory}/agent.sock"\nlisten = "127.0.0.1:{port}"\n{secure}'
        )
        with Store.open(directory / "state") as store:
            for account in (ACCOUNT, VISITOR):
                store.accounts.add(account, "administrator", Secret(PASSWORD))
            token = store.tokens.add("torture", "viewer")[1].reveal()
        with running((sys.executable, "-m", "papi_backup.daemon", "--config", str(config)), port):
            yield Owners(directory / "agent.sock", port, trusting() if tls else None, ACCOUNT, VISITOR, token)


def rounds(chance: random.Random, seconds: float, fixed: tuple[str, ...]) -> Iterator[tuple[Round, float]]:
    """Choose rounds until the time is over."""
    while seconds > 0:
        kinds = fixed or tuple(chance.sample(sorted(KINDS), chance.choice((1, 1, 2, 3, 5))))
        yield Round(kinds, chance.randint(*THREADS), chance.randrange(1 << 30)), min(ROUND_SECONDS, seconds)
        seconds -= ROUND_SECONDS


def flood(
    owners: Owners, chance: random.Random, seconds: float, fixed: tuple[str, ...], bound: float
) -> list[Probe]:
    """Flood one agent, print what each round came to, and return what its owners saw."""
    polled = probes(owners, bound)
    stop = threading.Event()
    threads = [threading.Thread(target=probe.poll, args=(stop,)) for probe in polled]
    for thread in threads:
        thread.start()
    for number, (chosen, length) in enumerate(rounds(chance, seconds, fixed), 1):
        before = [len(probe.waits) for probe in polled]
        done = one_round(owners, chosen, length)
        most = [max(probe.waits[start:], default=0.0) for probe, start in zip(polled, before, strict=True)]
        told = ", ".join(f"{kind} {count}" for kind, count in sorted(done.items()))
        waits = " ".join(f"{wait:.2f}" for wait in most)
        print(
            f"{number:>4}: {PROCESSES * chosen.threads} strangers: {told}; most waits {waits} s", flush=True
        )
    stop.set()
    for thread in threads:
        thread.join()
    return polled


def one_round(owners: Owners, chosen: Round, seconds: float) -> Counter[str]:
    """Have strangers come for a while; return what they did."""
    context = multiprocessing.get_context("spawn")
    counts: Queue[Counter[str]] = context.Queue()
    secure = owners.tls is not None
    processes = [
        context.Process(
            target=strangers,
            args=(owners.port, secure, Round(chosen.kinds, chosen.threads, chosen.seed + n), seconds, counts),
        )
        for n in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    done = sum((counts.get(timeout=seconds + 120) for _unused in processes), Counter())
    for process in processes:
        process.join()
    return done


def main() -> int:
    """Flood, print figures, and say whether every bar held."""
    parser = argparse.ArgumentParser(description="Floods of strangers at an agent whose owners call it.")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--bar", type=float, default=2.0, help="seconds that an owner's call may take")
    parser.add_argument("--kind", action="append", default=[], choices=sorted(KINDS), help="these alone")
    options = parser.parse_args()
    seed = secrets.randbits(32) if options.seed is None else options.seed
    print(f"seed {seed}; {options.minutes:g} minutes; {os.cpu_count()} cores", flush=True)
    chance = random.Random(seed)  # noqa: S311 (repeatable, no secret)
    holds = True
    for tls in (False, True):
        print("over TLS" if tls else "over plain http", flush=True)
        with agent(tls) as owners:
            polled = flood(owners, chance, options.minutes * 30, tuple(options.kind), options.bar)
        for probe in polled:
            holds = holds and probe.holds
            print(probe.line(), *(f"\n    {failure}" for failure in probe.failures[:5]))
    print(f"every bar held (seed {seed})" if holds else f"A bar was broken: repeat with --seed {seed}")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
