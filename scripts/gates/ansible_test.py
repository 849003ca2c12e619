# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""ansible-test without containers: sanity, units and integration in environments that it makes itself."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from checks.survivors import end_survivors
from gates.place import BIN, CACHE, collection_copy
from gates.pythons import real_interpreters, search_path
from gates.tally import GateError, Tally, read_junit

TARGET_PYTHONS = ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14")
LEAST_SANITY_TESTS = 22
"""Different ones; two of them run once for each Python."""
SERVERS_END_SECONDS = 30.0

# One of few variables that ansible-test hands on to all it starts; on Linux it means nothing.
_MARKER = "OBJC_DISABLE_INITIALIZE_FORK_SAFETY"
_PIP_BOOTSTRAP = "import ensurepip\nensurepip.bootstrap(upgrade=True)\n"
_PIP_NAMES = ("get_pip_24_2.py", "get_pip_25_2.py")
_SHOWN = re.compile(
    r"^(ERROR|FATAL|fatal|failed|\[ERROR\]|FAILED|E  )|Running sanity test|ok=\d+|passed|failed in"
)
_SKIPPED = re.compile(r"^WARNING: (Skipping .*)$", re.MULTILINE)
_ABSENT = re.compile(r"on Python (3\.\d+|2\.\d+) because it could not be found")


@dataclass(frozen=True, slots=True)
class AnsibleTest:
    """One ansible-test, of the ansible-core in ``bin``, on one copy of the collection."""

    bin: Path = BIN
    name: str = "main"

    def sanity(self) -> Tally:
        """Run all sanity tests with every Python that is present; an ignore file counts as a failure."""
        copy = collection_copy(f"{self.name}-sanity")
        ignored = tuple(
            f"an ignore file: {path.name}" for path in sorted((copy / "tests" / "sanity").glob("ignore*"))
        )
        status, output = self._run(copy, "sanity", "--junit", "--allow-disabled")
        total = len(re.findall(r"^Running sanity test ", output, re.MULTILINE))
        failed = _listed_failures(output)
        failures = (*ignored, *failed, *_skipped(output))
        if status != 0 and not failed:
            failures += ("ansible-test sanity did not end well",)
        different = len(set(re.findall(r'^Running sanity test "([^"]+)"', output, re.MULTILINE)))
        if different < LEAST_SANITY_TESTS:
            failures += (f"only {different} different sanity tests ran",)
        return Tally(max(0, total - len(failed)), failures)

    def units(self) -> Tally:
        """Run the unit tests with every Python that is present and that this ansible-core knows."""
        copy = collection_copy(f"{self.name}-units")
        status, output = self._run(copy, "units")
        return _counted(copy, status, _skipped(output), "units")

    def integration(self, *targets: str) -> Tally:
        """Run integration targets (all, unless named); a process that survives them counts as a failure."""
        copy = collection_copy(f"{self.name}-integration")
        here = copy / "tests" / "integration" / "targets"
        wanted = targets or tuple(path.name for path in here.iterdir() if not path.name.startswith("setup_"))
        run = secrets.token_hex(8)
        try:
            status, output = self._run(copy, "integration", *sorted(wanted), mark=run)
        finally:
            survivors = end_survivors(f"{_MARKER}={run}", grace=SERVERS_END_SECONDS)
        failures = _skipped(output) + tuple(f"survived: {one.pid} {one.command[:150]}" for one in survivors)
        ran = len(re.findall(r"^PLAY RECAP", output, re.MULTILINE))
        if ran != len(wanted):
            failures += (f"{ran} of {len(wanted)} targets ran to their end",)
        return _counted(copy, status, failures, "integration")

    def _run(self, copy: Path, command: str, *arguments: str, mark: str = "") -> tuple[int, str]:
        """Run it; print what matters, keep all in a log beside the copy, return status and output."""
        pythons = {
            version: path for version, path in real_interpreters().items() if version in TARGET_PYTHONS
        }
        print(f"Pythons: {' '.join(pythons)}", flush=True)
        environment = _environment(self.bin, pythons, mark)
        log = CACHE / f"{self.name}-{command}.log"
        words = [str(self.bin / "ansible-test"), command, "--venv", "--color", "no", *arguments]
        started, lines = time.monotonic(), []
        with log.open("w") as file:
            try:
                process = subprocess.Popen(
                    words,
                    cwd=copy,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    errors="replace",
                )
            except OSError as error:
                raise GateError(f"ansible-test does not run: {error}") from error
            for line in process.stdout or ():
                file.write(f"{time.monotonic() - started:6.1f} {line}")
                lines.append(line)
                if _SHOWN.search(line):
                    print(f"    {line.rstrip()[:300]}", flush=True)
            status = process.wait()
        if status:
            print(f"all of it is in {log}", flush=True)
        return status, "".join(lines)


def _environment(first: Path, pythons: Mapping[str, Path], mark: str) -> dict[str, str]:
    """A home of its own, so that nothing is left in the user's; pip's settings are the user's."""
    home = CACHE / "home"
    bootstraps = home / ".ansible" / "test" / "cache"
    bootstraps.mkdir(parents=True, exist_ok=True)
    for name in _PIP_NAMES:
        (bootstraps / name).write_text(_PIP_BOOTSTRAP)
    for name in (".config/pip", ".pip", ".cache/pip"):
        link, real = home / name, Path.home() / name
        link.parent.mkdir(parents=True, exist_ok=True)
        if real.exists() and not link.exists():
            link.unlink(missing_ok=True)
            link.symlink_to(real)
    path = os.pathsep.join([search_path(first, pythons), str(BIN), "/usr/sbin"])
    return {"HOME": str(home), "PATH": path, "LC_ALL": "C.UTF-8", _MARKER: mark or "none"}


def _listed_failures(output: str) -> tuple[str, ...]:
    """Return the names below ansible-test's "The N sanity test(s) listed below (out of M) failed."."""
    found = re.search(r"The (\d+) sanity test\(s\) listed below[^\n]*\n((?:[^\n]+\n)*)", output)
    return tuple(found[2].split("\n")[: int(found[1])]) if found else ()


def _skipped(output: str) -> tuple[str, ...]:
    """Return what ansible-test left out, but what is for a Python that this machine does not have."""
    lines = set(_SKIPPED.findall(output))
    present = real_interpreters()
    absent = {line for line in lines if (one := _ABSENT.search(line)) and one[1] not in present}
    return tuple(sorted(lines - absent))


def _counted(copy: Path, status: int, failures: Sequence[str], what: str) -> Tally:
    tally = read_junit(copy / "tests" / "output" / "junit") + Tally(0, tuple(failures))
    if tally.passed == 0 or (status != 0 and not tally.failures):
        tally += Tally(0, (f"ansible-test {what} did not end well",))
    return tally
