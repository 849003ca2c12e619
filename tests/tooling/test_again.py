# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``make again``: the runs are counted, the first that fails is the last, and no busy core stays."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from checks import again, running

FAILS_AT_THE_THIRD = """
from pathlib import Path

def test_it() -> None:
    runs = Path(__file__).with_name("runs")
    number = len(runs.read_text()) + 1 if runs.exists() else 1
    runs.write_text("." * number)
    assert number < 3, "the third run fails"
"""


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with a test of the agent's and one of the collection's."""
    for place in ("agent/tests", "tests/unit"):
        (tmp_path / place).mkdir(parents=True)
    (tmp_path / "agent/tests/test_third.py").write_text(FAILS_AT_THE_THIRD)
    (tmp_path / "tests/unit/test_good.py").write_text("def test_it(): pass\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(running, "RESULTS", tmp_path / "results")
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setenv("PYTHONPATH", str(Path(again.__file__).parents[1]))
    return tmp_path


@pytest.mark.parametrize(
    ("test", "place"),
    [
        ("tests/test_third.py", ("agent", "tests/test_third.py")),
        ("agent/tests/test_third.py", ("agent", "tests/test_third.py")),
        ("tests/test_third.py::test_it[a::b]", ("agent", "tests/test_third.py::test_it[a::b]")),
        ("tests/unit/test_good.py", (".", "tests/unit/test_good.py")),
        ("tests/test_nowhere.py", ("", "tests/test_nowhere.py")),
        ("", ("", "")),
    ],
)
@pytest.mark.usefixtures("checkout")
def test_a_test_is_found_in_the_agent_and_in_the_collection(test: str, place: tuple[str, str]) -> None:
    assert again.place_of(test) == place


@pytest.mark.usefixtures("checkout")
def test_every_run_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        again.main(["tests/unit/test_good.py::test_it", "--times", "2", "--busy", "0", "--at-once", "2"]) == 0
    )
    assert capsys.readouterr().out.splitlines()[-1].startswith("2 runs: 2 passed, 0 failed; slowest ")


def test_the_first_run_that_fails_is_the_last_and_shows_what_it_wrote(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert again.main(["tests/test_third.py", "--times", "9", "--busy", "0"]) == 1
    told = capsys.readouterr().out
    assert "the third run fails" in told
    assert told.splitlines()[-1].startswith("3 runs: 2 passed, 1 failed; slowest ")
    assert (checkout / "agent/tests/runs").read_text() == "..."


@pytest.mark.usefixtures("checkout")
def test_a_name_that_no_test_has_fails_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert again.main(["tests/test_third.py::test_other", "--busy", "0"]) == 1
    told = capsys.readouterr().out
    assert "not found: " in told
    assert "1 runs: 0 passed, 1 failed" in told


@pytest.mark.usefixtures("checkout")
def test_a_file_that_there_is_not_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        again.main(["tests/test_nowhere.py"])
    assert refused.value.code == 2
    assert "there is no test 'tests/test_nowhere.py'" in capsys.readouterr().err


def test_busy_cores_are_busy_and_end_with_their_use() -> None:
    with again.busy_cores(2) as loops:
        deadline = time.monotonic() + 20
        while min(seconds_of(loop.pid) for loop in loops) < 0.1 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert [seconds_of(loop.pid) >= 0.1 for loop in loops] == [True, True]
    assert [loop.returncode for loop in loops] == [-9, -9]


def test_a_busy_core_whose_starter_was_killed_ends_by_itself() -> None:
    program = (
        "import os; from checks import again\n"
        "with again.busy_cores(1) as [loop]:\n"
        "    print(loop.pid, flush=True); os.abort()"
    )
    starter = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(Path(again.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    busy = Path(f"/proc/{int(starter.stdout)}/stat")
    deadline = time.monotonic() + 20
    while is_running(busy) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_running(busy)


def is_running(stat: Path) -> bool:
    """Tell whether a process is there and no zombie, which one without a reaper stays."""
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def seconds_of(pid: int) -> float:
    """Return the seconds of processor time that a process has had."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
