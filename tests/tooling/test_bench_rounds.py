# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every tool makes every step, in turn; a bad restore is a failure; what cannot be is left out."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest
from bench.changes import apply_changes
from bench.datasets import RECIPES, build, make_large, make_tiny, regular_files
from bench.missing import MissingError
from bench.options import parse
from bench.peers.protocol import Peer
from bench.providing import PROVIDERS, Provider
from bench.room import empty_directory, needed_bytes
from bench.rounds import Results, Round
from bench.running import Run
from bench_parts import Copier, DirectoryServer, options

TINY = next(recipe for recipe in RECIPES if recipe.name == "tiny")


def quiet(text: str) -> None:
    del text


def play(tmp_path: Path, tools: list[Copier], rounds: int = 1) -> Results:
    results = Results()
    data_set = build(TINY, tmp_path / "data", 0.001)
    for number in range(rounds):
        server = DirectoryServer(tmp_path / "storage")
        Round(number, data_set, server, tmp_path, quiet).run(tools, results)
    return results


def copier(tmp_path: Path, name: str, calls: list[tuple[str, str]], **more: object) -> Copier:
    (tmp_path / "storage").mkdir(exist_ok=True)
    return Copier(name, tmp_path / "storage", calls, **more)  # type: ignore[arg-type] -- a test's choice


def test_all_tools_make_a_step_before_the_next_one_begins_and_the_order_rotates(tmp_path: Path) -> None:
    calls: list[tuple[str, str]] = []
    results = play(tmp_path, [copier(tmp_path, name, calls) for name in ("a", "b")], rounds=2)
    assert results.failures == []
    assert [name for name, step in calls if step == "full"] == ["a", "b", "b", "a"]
    assert [step for name, step in calls if name == "a"][:7] == [
        *("full", "unchanged", "changed", "restore", "restore one", "list", "remove")
    ]
    assert [step for _name, step in calls[:4]] == ["full", "full", "unchanged", "unchanged"]
    assert len(results.measurements) == 24
    assert list((tmp_path / "storage").iterdir()) == []


def test_the_data_changes_between_unchanged_and_changed_and_stored_bytes_are_those_after_each(
    tmp_path: Path,
) -> None:
    results = play(tmp_path, [copier(tmp_path, "a", [])])
    stored = {one.step: one.stored for one in results.measurements}
    assert stored["full"] == stored["unchanged"] < stored["changed"]
    assert stored["restore"] == stored["list"] == -1


def forget_a_file(restored: Path) -> None:
    regular_files(restored)[0].unlink()


def alter_a_byte(restored: Path) -> None:
    name = regular_files(restored)[0]
    found = name.stat()
    name.write_bytes(b"?" + name.read_bytes()[1:])
    os.utime(name, ns=(found.st_atime_ns, found.st_mtime_ns))


@pytest.mark.parametrize(
    ("spoil", "named"), [(forget_a_file, "names of"), (alter_a_byte, "contents of")], ids=["lost", "altered"]
)
def test_a_restore_that_is_not_the_source_is_a_failure_and_no_figure(tmp_path: Path, spoil, named) -> None:
    results = play(tmp_path, [copier(tmp_path, "a", [], spoil=spoil)])
    assert len(results.failures) == 1 and named in results.failures[0]
    assert "restore" not in {one.step for one in results.measurements}
    assert "restore one" in {one.step for one in results.measurements}


def test_a_tool_whose_backup_fails_takes_no_further_part_in_the_round_and_the_others_do(
    tmp_path: Path,
) -> None:
    calls: list[tuple[str, str]] = []
    tools = [copier(tmp_path, "broken", calls, fails_at="unchanged"), copier(tmp_path, "whole", calls)]
    results = play(tmp_path, tools)
    assert results.failures == ["tiny over sftp, round 1, broken, unchanged: it broke"]
    assert [step for name, step in calls if name == "broken"] == ["full", "unchanged", "remove"]
    assert len([one for one in results.measurements if one.peer == "whole"]) == 6


def providers(tmp_path: Path, *tools: str, slow: str = "") -> dict[str, Provider]:
    def make(name: str) -> Provider:
        def provide(cache: Path, work: Path, running: contextlib.ExitStack) -> Peer:
            del cache, work, running
            return copier(tmp_path, name, [], slow=name == slow)

        return provide

    return {name: make(name) for name in tools}


def absent(cache: Path, work: Path, running: contextlib.ExitStack) -> Peer:
    del cache, work, running
    raise MissingError("no compiler on this machine")


def started(tmp_path: Path, run: Run) -> Results:
    (tmp_path / "work").mkdir()
    run.run()
    return run.results


def test_a_tool_that_cannot_be_had_is_named_and_the_others_are_measured_over_sftp(tmp_path: Path) -> None:
    wanted = {**providers(tmp_path, "ours"), "borg": absent}
    asked = options(tmp_path, peers=("ours", "borg"), scale=0.0002)
    found = started(tmp_path, Run(asked, tmp_path, quiet, providers=wanted, user=0))
    assert found.left_out == ["borg: no compiler on this machine"]
    assert {one.peer for one in found.measurements} == {"ours"}


def test_slow_tools_take_part_in_the_first_rounds_only_over_sftp(tmp_path: Path) -> None:
    wanted = providers(tmp_path, "ours", "borg", slow="borg")
    asked = options(tmp_path, peers=("ours", "borg"), rounds=2, scale=0.0002)
    found = started(tmp_path, Run(asked, tmp_path, quiet, providers=wanted, user=0))
    assert {one.round for one in found.measurements if one.peer == "borg"} == {0}
    assert {one.round for one in found.measurements if one.peer == "ours"} == {0, 1}


def test_without_room_a_data_set_is_left_out_with_both_numbers_and_smaller_ones_are_measured_sftp(
    tmp_path: Path,
) -> None:
    asked = options(tmp_path, sets=("large", "tiny"), scale=0.0005)
    free = needed_bytes(TINY, 0.0005, 1, "sftp")
    run = Run(
        asked, tmp_path, quiet, providers=providers(tmp_path, "ours"), free_bytes=lambda _path: free, user=0
    )
    found = started(tmp_path, run)
    assert len(found.left_out) == 1
    assert found.left_out[0].startswith("large over sftp: 0.5 GB are needed")
    assert {one.data_set for one in found.measurements} == {"tiny"}


def test_without_root_it_is_said_what_that_leaves_out_over_sftp(tmp_path: Path) -> None:
    asked = options(tmp_path, scale=0.0002)
    run = Run(asked, tmp_path, quiet, providers=providers(tmp_path, "ours"), user=1000)
    found = started(tmp_path, run)
    assert len(found.left_out) == 1 and found.left_out[0].startswith("without root")
    assert found.measurements


def test_a_storage_without_a_server_is_left_out_and_the_rest_is_measured_over_sftp(tmp_path: Path) -> None:
    tools = {"ours": lambda *_places: copier(tmp_path, "ours", [], storages=("tape", "sftp"))}
    asked = options(tmp_path, storages=("tape", "sftp"), scale=0.0002)
    found = started(tmp_path, Run(asked, tmp_path, quiet, providers=tools, user=0))
    assert found.left_out == ["tiny over tape: no kind of storage is called tape"]
    assert {one.storage for one in found.measurements} == {"sftp"}


def test_an_agent_and_the_pipe_are_measured_on_tiny_files_over_sftp(tmp_path: Path) -> None:
    asked = options(tmp_path, peers=("ours", "tar pipe"))
    real = {name: PROVIDERS[name] for name in asked.peers}
    found = started(tmp_path, Run(asked, tmp_path, quiet, providers=real, user=0))
    assert found.failures == [] and found.left_out == []
    assert len({(one.peer, one.step) for one in found.measurements}) == 6 + 2
    for one in found.measurements:
        assert one.figures.wall > 0 and one.figures.peak > 1 << 20
        assert one.figures.cpu > 0 or one.step == "list"
    assert not any((tmp_path / "work" / "data").iterdir())


def test_the_same_data_is_made_again_from_the_same_seed(tmp_path: Path) -> None:
    for make in (make_large, make_tiny):
        trees = [tmp_path / f"{make.__name__}-{copy}" for copy in "ab"]
        for tree in trees:
            tree.mkdir()
            make(tree, 0.0005)
        first, second = (
            {name.relative_to(tree): name.read_bytes() for name in regular_files(tree)} for tree in trees
        )
        assert first == second and len(first) in (9, 101)


def test_one_percent_of_the_files_change_and_the_largest_grows_by_a_megabyte(tmp_path: Path) -> None:
    for number in range(200):
        (tmp_path / f"{number:03}").write_bytes(b"same " * 50)
    large = tmp_path / "large"
    large.write_bytes(bytes(3 << 20))
    before = {name: name.read_bytes() for name in regular_files(tmp_path)}
    apply_changes(tmp_path, 3)
    after = {name: name.read_bytes() for name in regular_files(tmp_path)}
    changed = {name for name in before if after[name] != before[name]}
    assert large in changed and len(changed - {large}) in (1, 2)
    grown = len(after[large]) - len(before[large])
    assert 1 << 20 <= grown <= (1 << 20) + 128
    altered = sum(left != right for left, right in zip(before[large], after[large], strict=False))
    assert 4000 <= altered <= 4096 + 32


def test_a_directory_with_something_in_it_is_not_emptied_unless_a_benchmark_made_it(tmp_path: Path) -> None:
    (tmp_path / "precious").touch()
    with pytest.raises(MissingError, match="not empty"):
        empty_directory(tmp_path)
    assert (tmp_path / "precious").exists()
    work = tmp_path / "work"
    empty_directory(work)
    (work / "left").touch()
    empty_directory(work)
    assert not (work / "left").exists()


@pytest.mark.parametrize(
    "arguments", [("--sets", "tape"), ("--rounds", "0"), ("--scale", "0"), ("--peers", "ours,zip")]
)
def test_a_wrong_option_ends_with_usage(arguments: tuple[str, ...], tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(arguments, tmp_path)
    assert ended.value.code == 2


def test_the_defaults_are_everything_in_three_rounds(tmp_path: Path) -> None:
    found = parse((), tmp_path)
    assert (found.sets, found.storages, found.rounds) == (("tree", "large", "tiny"), ("sftp", "s3"), 3)
    assert found.peers == ("ours", "restic", "tar pipe", "borg", "duplicity") and found.scale == 1
