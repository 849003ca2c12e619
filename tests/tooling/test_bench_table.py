# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Medians, ratios and verdicts, from figures made up by hand."""

from __future__ import annotations

import json
import re
import xml.dom.minidom
from datetime import UTC, datetime
from pathlib import Path

from bench.measuring import Figures
from bench.peers.protocol import Step
from bench.plot import plot
from bench.report import FIGURES, PAGE, PICTURE, Report
from bench.rounds import Measurement, Results
from bench.table import medians, tables
from bench.targets import TARGETS, judge
from bench.terminal import text_of
from bench_parts import Copier, options


def measured(
    peer: str, wall: float, *, step: Step = "full", number: int = 0, stored: int = 100, data_set: str = "tree"
) -> Measurement:
    figures = Figures(wall=wall, cpu=2 * wall, peak=50_000_000, transferred=1 << 20)
    return Measurement(data_set, "sftp", number, peer, step, figures, stored)


THREE = [
    *(measured("ours", wall, number=number) for number, wall in enumerate((4.0, 90.0, 5.0))),
    *(measured("restic", wall, number=number, stored=200) for number, wall in enumerate((10.0, 11.0, 9.0))),
    *(measured("tar pipe", 4.0, number=number) for number in range(3)),
    measured("borg", 8.0),
]


def report(results: Results, tmp_path: Path) -> Report:
    tools = [Copier(name, tmp_path, []) for name in ("ours", "restic")]
    machine = {"processor": "one of a kind, 2 cores"}
    return Report(options(tmp_path), machine, tools, results, 61.0, datetime(2026, 1, 2, tzinfo=UTC))


def test_the_median_is_taken_over_the_rounds_so_one_bad_round_does_not_show() -> None:
    found = medians(THREE)
    assert found["wall"]["tree", "sftp", "full", "ours"] == 5.0
    assert found["cpu"]["tree", "sftp", "full", "restic"] == 20.0


def test_ratios_are_ours_by_restic_by_the_best_peer_and_by_the_limit() -> None:
    table = tables(THREE)[0]
    assert table.peers == ("ours", "restic", "tar pipe", "borg")
    row = table.rows[0]
    assert row.to_restic == "0.50 / 0.50 / 1.00 / 0.50"
    assert row.to_best == "0.62 (borg)"
    assert row.to_limit == "1.25 / 1.25 / 1.00"
    assert row.cells[0] == "5.00 / 10.00 / 50 / 0.0"


def test_a_step_that_a_tool_has_not_is_an_empty_cell() -> None:
    row = tables([*THREE, measured("ours", 1.0, step="list", stored=-1)])[0].rows[-1]
    assert (row.step, row.cells) == ("list", ("1.00 / 2.00 / 50", "", "", ""))
    assert (row.to_restic, row.to_best, row.to_limit) == ("", "", "")


def test_ours_alone_has_figures_and_no_ratios() -> None:
    row = tables([measured("ours", 1.0)])[0].rows[0]
    assert (row.to_restic, row.to_best, row.to_limit) == ("", "", "")
    assert judge(medians([measured("ours", 1.0)])) == []


def test_a_target_is_met_up_to_its_bar_and_missed_beyond() -> None:
    verdicts = {
        (one.target.step, one.target.quantity, one.target.other): one for one in judge(medians(THREE))
    }
    assert verdicts["full", "wall", "restic"].met  # 0.50 of 0.5
    assert verdicts["full", "stored", "restic"].met
    assert verdicts["full", "wall", "tar pipe"].met  # 1.25 of 1.3
    slower = [measured("ours", 5.1), measured("restic", 10.0)]
    missed = next(one for one in judge(medians(slower)) if one.target.quantity == "wall")
    assert (missed.met, round(missed.measured, 2)) == (False, 0.51)


def test_the_bar_of_one_file_is_a_number_of_bytes_of_ours_alone() -> None:
    found = judge(medians([measured("ours", 1.0, step="restore one", stored=-1, data_set="large")]))
    assert [(one.target.quantity, one.measured, one.met) for one in found] == [("transferred", 1 << 20, True)]


def test_every_kind_of_data_has_bars_over_both_storages() -> None:
    found = {(one.data_set, one.storage) for one in TARGETS}
    assert found == {(name, storage) for name in ("tree", "large", "tiny") for storage in ("sftp", "s3")}
    assert len(set(TARGETS)) == len(TARGETS)


def test_the_report_is_a_page_figures_and_a_picture(tmp_path: Path) -> None:
    results = Results(THREE, ["tree over sftp, round 1, borg, list: it broke"], ["duplicity: no gpg"])
    report(results, tmp_path).write(tmp_path)
    page = (tmp_path / PAGE).read_text()
    assert "| tree | sftp | full | wall | restic | 0.50 | 0.50 | met |" in page
    assert "duplicity: no gpg" in page and "borg, list: it broke" in page and "one of a kind" in page
    figures = json.loads((tmp_path / FIGURES).read_text())
    assert len(figures["measurements"]) == len(THREE)
    assert figures["measurements"][0]["figures"]["wall"] == 4.0
    assert (tmp_path / PICTURE).read_text().startswith("<svg ")


def test_the_columns_of_the_page_are_as_many_as_its_heads(tmp_path: Path) -> None:
    page = report(Results(THREE), tmp_path).page()
    table = page[page.index("## tree over sftp") :].splitlines()
    rows = [line for line in table if line.startswith("|")]
    assert len({line.count("|") for line in rows}) == 1


def test_a_report_of_nothing_says_so(tmp_path: Path) -> None:
    nothing = report(Results(left_out=["tree over sftp: 9.0 GB are needed, 0.1 GB are free"]), tmp_path)
    assert "None could be judged" in nothing.page() and "9.0 GB are needed" in nothing.page()
    assert "left out: tree over sftp" in text_of(nothing)


def test_missed_targets_are_told_on_the_terminal(tmp_path: Path) -> None:
    slow = Results([measured("ours", 20.0), measured("restic", 10.0)])
    assert "missed: tree, sftp, full, wall: 2.00, at most 0.5" in text_of(report(slow, tmp_path))


def test_the_picture_has_a_bar_for_each_tool_and_step() -> None:
    drawn = plot(THREE)
    xml.dom.minidom.parseString(drawn)  # noqa: S318 -- our own
    bars = re.findall(r'<rect x="110" [^>]*width="([0-9.]+)" height="11"', drawn)
    assert len(bars) == 4
    assert float(bars[1]) == 2 * float(bars[0])  # restic took twice as long
