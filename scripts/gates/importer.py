# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""galaxy-importer on the tarball that ``make build`` makes, with every check that needs no container."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from gates.linters import run_tool, tools
from gates.place import CACHE, REPOSITORY
from gates.tally import GateError, Tally

_SETTINGS = """\
[galaxy-importer]
RUN_ANSIBLE_DOC = True
RUN_ANSIBLE_LINT = True
OFFLINE_ANSIBLE_LINT = True
RUN_FLAKE8 = True
RUN_ANSIBLE_TEST = False
CHECK_CHANGELOG = True
CHECK_REQUIRED_TAGS = True
REQUIRE_V1_OR_GREATER = True
ANSIBLE_LOCAL_TMP = {temporary}
"""
_TROUBLE = re.compile(r"^(?:\S+ )?(?:WARNING|ERROR|CRITICAL)\b.*$", re.MULTILINE)
_LOADED = re.compile(r"^(?:\S+ )?Loading ", re.MULTILINE)
_END = "Importer processing completed successfully"


def build_tarball(directory: Path) -> Path:
    """Build the collection; return the tarball."""
    build = REPOSITORY / "scripts" / "build"
    done = subprocess.run(
        [str(build), "collection", str(directory)], capture_output=True, text=True, check=False
    )
    found = sorted(directory.glob("papi-backup-*.tar.gz"))
    if done.returncode or len(found) != 1:
        raise GateError(f"the collection was not built: {(done.stdout + done.stderr).strip()[-1000:]}")
    return found[0]


def imported() -> Tally:
    """Import it; a warning counts as a failure."""
    place = CACHE / "importer" / "work" / "here"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    settings = place / "importer.cfg"
    settings.write_text(_SETTINGS.format(temporary=place / "tmp"))
    tarball = build_tarball(place / "build")
    command = [str(tools() / "python"), "-m", "galaxy_importer.main", str(tarball)]
    status, output = run_tool(command, place, GALAXY_IMPORTER_CONFIG=str(settings))
    failures = tuple(_TROUBLE.findall(output))
    if status or _END not in output:
        failures += ("the import did not end well",)
    return Tally(len(_LOADED.findall(output)), failures)
