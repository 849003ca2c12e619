# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""For tests only: makes of a wheel of the agent one that says that it is older.

``older_wheel.py WHEEL VERSION DIRECTORY``; what the agent itself takes for its version stays.
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path


def make_older(wheel: Path, version: str, directory: Path) -> Path:
    """Return the new wheel."""
    name, present, rest = wheel.name.split("-", 2)
    directory.mkdir(parents=True, exist_ok=True)
    older = directory / f"{name}-{version}-{rest}"
    replaced = {
        f"Version: {present}\n": f"Version: {version}\n",
        f"{name}-{present}.dist-info": f"{name}-{version}.dist-info",
    }
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(older, "w", zipfile.ZIP_DEFLATED) as target:
        for entry in source.infolist():
            path, content = entry.filename, source.read(entry)
            for old, new in replaced.items():
                path = path.replace(old, new)
                if path.endswith((".dist-info/METADATA", ".dist-info/RECORD")):
                    content = content.replace(old.encode(), new.encode())
            target.writestr(path, content)
    return older


if __name__ == "__main__":
    make_older(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
