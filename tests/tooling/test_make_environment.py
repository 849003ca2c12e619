# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent's virtual environment: made once, made anew when Python has changed, never lost."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "roles/backup_agent/files/make-environment"
MINOR = f"{sys.version_info[0]}.{sys.version_info[1]}"


def build_wheel(place: Path, version: str) -> Path:
    """Build a wheel that stands for the agent's."""
    path = place / f"papi_backup_agent-{version}-py3-none-any.whl"
    information = f"papi_backup_agent-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("papi_backup/__init__.py", f"VERSION = {version!r}\n")
        wheel.writestr(
            f"{information}/METADATA", f"Metadata-Version: 2.1\nName: papi-backup-agent\nVersion: {version}\n"
        )
        kind = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        wheel.writestr(f"{information}/WHEEL", kind)
        wheel.writestr(f"{information}/RECORD", "")
    return path


@dataclass
class Installation:
    """``/opt/papi-backup``, elsewhere; ``sleep`` takes no time and notes for how long it was asked."""

    place: Path

    @property
    def home(self) -> Path:
        return self.place / f"versions/1.0.0-py{MINOR}-abc"

    @property
    def current(self) -> Path:
        return self.place / "current"

    def want(self, requirement: str, name: str = "1.0.0") -> None:
        """Write the settings as the role does."""
        (self.place / "wanted").write_text(
            f"python={sys.executable}\nname={name}\nmark=abc\nrequirement='{requirement}'\n"
            f"export PIP_NO_INDEX=1 PIP_FIND_LINKS={self.place}/wheels\n"
        )

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        path = f"{self.place}/bin:{os.environ['PATH']}"
        return subprocess.Popen(
            [self.place / "make-environment", *arguments],
            env={"PATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def make(self, *arguments: str) -> tuple[int, str]:
        """Run the script; return its status and what it said."""
        process = self.begin(*arguments)
        said = process.communicate()[0]
        return process.returncode, said

    def version(self) -> str:
        """Return the version of the current environment, as its own Python tells it."""
        return subprocess.run(
            [self.current / "bin/python", "-c", "import papi_backup; print(papi_backup.VERSION)"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()

    def slept(self) -> str:
        noted = self.place / "slept"
        return noted.read_text() if noted.exists() else ""


@pytest.fixture
def made(tmp_path: Path) -> Installation:
    """An installation that the role has made."""
    place = tmp_path / "papi-backup"
    for name in ("versions", "wheels", "bin"):
        (place / name).mkdir(parents=True)
    shutil.copy(SCRIPT, place)
    (place / "bin/sleep").write_text(f'#!/bin/sh\necho "$@" >>{place}/slept\n')
    (place / "bin/sleep").chmod(0o755)
    installation = Installation(place)
    installation.want(str(build_wheel(place / "wheels", "1.0.0")))
    status, said = installation.make("--wanted")
    assert status == 0, said
    return installation


def lose_the_interpreter(made: Installation) -> None:
    python = made.home / "bin/python3"
    python.unlink()
    python.symlink_to("/usr/bin/python3.0")
    for name in ("python", f"python{MINOR}"):
        (made.home / "bin" / name).unlink()
        (made.home / "bin" / name).symlink_to("python3")


def leave_other_modules(made: Installation) -> None:
    (made.home / f"lib/python{MINOR}").rename(made.home / "lib/python3.0")


def be_of_another_python(made: Installation) -> None:
    leave_other_modules(made)
    older = made.home.with_name("1.0.0-py3.0-abc")
    made.home.rename(older)
    made.current.unlink()
    made.current.symlink_to(older)


def test_it_is_made_linked_and_remembered(made: Installation) -> None:
    assert made.current.readlink() == made.home
    assert (made.place / "made").read_text() == (made.place / "wanted").read_text()
    assert made.version() == "1.0.0"


@pytest.mark.parametrize("arguments", ["--wanted", "--patient"])
def test_one_that_fits_stays_as_it_is(made: Installation, arguments: str) -> None:
    before = os.stat(made.home).st_ino
    shutil.rmtree(made.place / "wheels")
    assert made.make(arguments) == (0, "")
    assert os.stat(made.home).st_ino == before


@pytest.mark.parametrize("upgrade", [lose_the_interpreter, leave_other_modules, be_of_another_python])
def test_after_an_upgrade_of_python_a_start_makes_it_anew(
    made: Installation, upgrade: Callable[[Installation], None]
) -> None:
    upgrade(made)
    status, said = made.make("--patient")
    assert (status, made.current.readlink(), made.version()) == (0, made.home, "1.0.0"), said
    assert list(made.home.parent.glob("*.before")) == []


def test_the_role_makes_one_anew_that_only_seems_to_fit(made: Installation) -> None:
    (made.home / "broken").touch()
    assert made.make("--wanted", "--anew")[0] == 0
    assert not (made.home / "broken").exists()


def test_what_cannot_be_made_leaves_all_as_it_was(made: Installation) -> None:
    before = (made.place / "made").read_text()
    made.want("papi-backup-agent==2.0.0", name="2.0.0")
    status, said = made.make("--wanted")
    assert status == 1
    assert "2.0.0" in said and "could not be made" in said
    assert (made.current.readlink(), made.version()) == (made.home, "1.0.0")
    assert (made.place / "made").read_text() == before
    assert made.make("--patient") == (0, "")


def test_a_start_goes_on_with_what_works_when_nothing_new_can_be_made(made: Installation) -> None:
    (made.home / ".complete").unlink()
    shutil.rmtree(made.place / "wheels")
    status, said = made.make("--patient")
    assert (status, made.version()) == (0, "1.0.0")
    assert "the one that is there goes on" in said
    assert made.make("--wanted")[0] == 1


def test_a_start_that_fails_waits_before_the_next_and_loses_nothing(made: Installation) -> None:
    lose_the_interpreter(made)
    (made.place / "wheels").rename(made.place / "elsewhere")
    status, said = made.make("--patient")
    assert (status, made.slept().split()[-1]) == (1, "30"), said
    assert (made.home / f"lib/python{MINOR}/site-packages/papi_backup").is_dir()
    (made.place / "elsewhere").rename(made.place / "wheels")
    assert made.make("--patient")[0] == 0
    assert made.version() == "1.0.0"


def test_before_anything_was_made_a_start_is_none_of_its_business(made: Installation) -> None:
    (made.place / "made").unlink()
    assert made.make("--patient") == (0, "")


def test_two_at_once_do_not_disturb_each_other(made: Installation) -> None:
    lose_the_interpreter(made)
    both = [made.begin("--patient"), made.begin("--wanted")]
    said = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert sum("making" in one for one in said) == 1
    assert made.version() == "1.0.0"


def test_the_newest_of_then_is_made_again_not_the_newest_of_now(made: Installation) -> None:
    made.want("papi-backup-agent", name="newest")
    assert made.make("--wanted")[0] == 0
    build_wheel(made.place / "wheels", "1.1.0")
    shutil.rmtree(made.current.readlink() / "bin")
    assert made.make("--patient")[0] == 0
    assert made.version() == "1.0.0"


@pytest.mark.parametrize("arguments", [(), ("--now",)])
def test_an_order_that_there_is_not_is_refused(made: Installation, arguments: tuple[str, ...]) -> None:
    status, said = made.make(*arguments)
    assert (status, "--wanted or --patient" in said) == (2, True)
