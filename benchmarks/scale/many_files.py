# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Peak memory of backups and restores of many tiny files, and how it grows with their number."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from scale.jobs import Client, Kind, Measured, storage
from scale.trees import change_files, make_tree, same_files

SETTLING_SECONDS = 2.5
"""A file changed this shortly before a backup would be read again by the next one."""


def measure(directory: Path, kind: Kind, files: int, size: int, changed: tuple[float, ...]) -> list[Measured]:
    """Back up and restore ``files`` files, printing each job's figures."""
    tree, target = directory / f"tree-{files}", directory / f"restored-{files}"
    make_tree(tree, files, size)
    time.sleep(SETTLING_SECONDS)
    place = directory / f"storage-{files}"
    found = []

    def tell(what: str, measured: Measured) -> None:
        found.append(measured)
        print(measured.told(f"{files:>9,} files of {size} B, {what}"), flush=True)

    with storage(kind, place) as access:
        client = Client(place, access)
        tell("full", client.back_up(tree, "full"))
        tell("unchanged", client.back_up(tree, "inc"))
        for generation, share in enumerate(changed, 1):
            change_files(tree, files, size, share, generation)
            time.sleep(SETTLING_SECONDS)
            tell(f"{share:.1%} changed", client.back_up(tree, "inc"))
        tell("restore", client.restore(target))
    if not same_files(tree, target / tree.absolute().relative_to("/")):
        raise RuntimeError(f"{target} is not what {tree} is")
    shutil.rmtree(target)
    shutil.rmtree(place)
    return found
