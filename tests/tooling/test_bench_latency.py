# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the benchmark over a long line says of its figures."""

from __future__ import annotations

from latency.report import Run, verdicts

RATE = 1000.0


def run(peer: str, wall: float, up: int = 8000) -> Run:
    return Run("full", peer, 0, wall, 1.0, up, 10)


def test_the_bound_is_the_greater_of_the_peers_time_and_the_lines() -> None:
    (by_line,) = verdicts([run("ours", 8.7), run("restic", 9.0)], RATE)
    assert (by_line.bound, by_line.is_kept) == (8.8, True)
    (by_peer,) = verdicts([run("ours", 9.7), run("restic", 12.0)], RATE)
    assert (round(by_peer.bound, 6), by_peer.is_kept) == (9.6, False)
    assert str(by_peer).endswith("MISSED")


def test_medians_are_compared_and_a_peer_may_be_missing() -> None:
    (verdict,) = verdicts([run("ours", wall) for wall in (1.0, 9.0, 2.0)], RATE)
    assert (verdict.ours, verdict.peer, verdict.line) == (2.0, 0.0, 8.0)
    assert "-" in str(verdict)
