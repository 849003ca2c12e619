# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real interpreters of this machine; a shim would vanish under ansible-test's own environments."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

_NAME = re.compile(r"python3\.\d+")
_QUESTION = """\
import ensurepip, os, sys, venv
print("%d.%d" % sys.version_info[:2])
print(os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable))
"""


def real_interpreters() -> Mapping[str, Path]:
    """Return the interpreters by version ("3.11"); the first one on PATH wins, pyenv's come last."""
    found: dict[str, Path] = {}
    for candidate in _candidates():
        try:
            done = subprocess.run(
                [str(candidate), "-I", "-c", _QUESTION],
                capture_output=True,
                text=True,
                timeout=30,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            continue
        if done.returncode == 0:
            version, path = done.stdout.split("\n")[:2]
            if Path(path).with_name(f"python{version}").exists():
                found.setdefault(version, Path(path).with_name(f"python{version}"))
    return found


def _candidates() -> Iterator[Path]:
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    places = [Path(word) for word in os.environ.get("PATH", os.defpath).split(os.pathsep) if word]
    for place in [*places, *sorted(pyenv.glob("*/bin"), reverse=True)]:
        try:
            names = sorted(os.listdir(place))
        except OSError:
            continue
        yield from (place / name for name in names if _NAME.fullmatch(name))


def search_path(first: Path, interpreters: Mapping[str, Path]) -> str:
    """Return a PATH that finds ``first``, then each interpreter, and no shims."""
    words = [str(first), *(str(path.parent) for path in interpreters.values())]
    usual = os.environ.get("PATH", os.defpath).split(os.pathsep)
    words += [word for word in usual if word and Path(word).name != "shims"]
    return os.pathsep.join(dict.fromkeys(words))
