# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deals the blows of one job while it runs, and mends everything afterwards."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Sequence
from typing import Self

from endurance.drawing import Blow
from realparts.proxy import Proxy
from realparts.s3cluster import S3Cluster

_LOOK_SECONDS = 0.003


class Blows:
    """Deals blows in a thread of its own; a context manager, at whose end nothing is wrong any more.

    ``dealt`` counts the blows that came before the job was over, by action; ``cut`` the connections that were
    ended by them.  ``away`` is the volume server that the job's end found killed; the caller
    brings it back.
    """

    def __init__(self, blows: Sequence[Blow], proxy: Proxy, cluster: S3Cluster) -> None:
        self.dealt: Counter[str] = Counter()
        self.cut = 0
        self.away: int | None = None
        self._sound_since = time.monotonic()
        self._dealing = False
        self._blows = blows
        self._proxy = proxy
        self._cluster = cluster
        self._over = threading.Event()
        self._failed: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="blows", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *unused_details: object) -> None:
        self._over.set()
        self._thread.join()
        if self._failed is not None:
            raise self._failed

    @property
    def sound_since(self) -> float:
        """Since when nothing has been wrong, by :func:`time.monotonic`; now, while something is."""
        return time.monotonic() if self._dealing else self._sound_since

    def _run(self) -> None:
        try:
            for blow in self._blows:
                if not self._comes(blow):
                    return
                self.dealt[blow.action] += 1
                self._dealing = True
                self._deal(blow)
                self._sound_since, self._dealing = time.monotonic(), False
        except BaseException as error:
            self._failed = error

    def _comes(self, blow: Blow) -> bool:
        """Wait for the blow's moment; false if the job was over before."""
        carried, latest = self._carried + blow.after_bytes, time.monotonic() + blow.after_seconds
        while not self._over.wait(_LOOK_SECONDS):
            if self._carried >= carried or time.monotonic() >= latest:
                return True
        return False

    @property
    def _carried(self) -> int:
        return self._proxy.sent + self._proxy.received

    def _deal(self, blow: Blow) -> None:
        """Deal it; return once it is over, which the end of the job hastens."""
        proxy = self._proxy
        if blow.action == "reset":
            self.cut += proxy.cut() // 2
        elif blow.action == "end":
            self.cut += proxy.end() // 2
        elif blow.action == "stall":
            proxy.stall()
            self._over.wait(blow.length)
            proxy.resume()
        elif blow.action == "refuse":
            proxy.refuse()
            self.cut += proxy.cut() // 2
            self._over.wait(blow.length)
            proxy.accept()
        else:
            self._cluster.kill_one(blow.which)
            if self._over.wait(blow.length):
                self.away = blow.which
            else:
                self._cluster.bring_back(blow.which)
