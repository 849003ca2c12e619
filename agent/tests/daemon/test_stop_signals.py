# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for SIGTERM and SIGINT without handlers that do anything."""

from __future__ import annotations

import os
import signal
import threading
import time

from papi_backup.stop_signals import StopSignals


def test_a_signal_that_came_before_the_wait_is_not_missed() -> None:
    with StopSignals() as signals:
        os.kill(os.getpid(), signal.SIGTERM)
        assert signals.wait(5)
        assert signals.count == 1


def test_a_signal_that_another_thread_receives_ends_the_wait_at_once() -> None:
    with StopSignals() as signals:
        other = threading.Thread(target=lambda: signal.pthread_kill(threading.get_ident(), signal.SIGINT))
        started = time.monotonic()
        other.start()
        assert signals.wait(30)
        assert time.monotonic() - started < 5


def test_without_a_signal_the_wait_ends_in_time() -> None:
    with StopSignals() as signals:
        assert not signals.wait(0.01)
        assert signals.count == 0


def test_afterwards_signals_do_what_they_did_before() -> None:
    before = signal.getsignal(signal.SIGINT)
    with StopSignals():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before
