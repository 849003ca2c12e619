# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run: everything that was asked for and that this machine can do."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench.datasets import RECIPES, DataSet, Recipe, build
from bench.options import Options
from bench.peers.protocol import Peer
from bench.providing import PROVIDERS, Provider, provide
from bench.room import needed_bytes, shortage
from bench.rounds import Results, Round, Say
from bench.servers import running_server
from realparts.process import ServerError

WITHOUT_ROOT = (
    "without root: files that only root reads are not in the tree, and owners are not restored or compared"
)


class Run:
    """A run; ``results`` and ``peers`` can be looked at when it has ended."""

    def __init__(
        self,
        options: Options,
        cache: Path,
        say: Say,
        *,
        providers: Mapping[str, Provider] | None = None,
        free_bytes: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free,
        user: int | None = None,
    ) -> None:
        self.results = Results()
        self.peers: list[Peer] = []
        self._options = options
        self._cache = cache
        self._say = say
        self._providers = PROVIDERS if providers is None else providers
        self._free_bytes = free_bytes
        self._user = os.geteuid() if user is None else user

    def run(self) -> None:
        """Measure all that can be measured, and note what cannot."""
        if self._user != 0:
            self._leave_out(WITHOUT_ROOT)
        with contextlib.ExitStack() as running:
            self._provide(running)
            for recipe in RECIPES:
                if recipe.name in self._options.sets:
                    self._on(recipe)

    def _provide(self, running: contextlib.ExitStack) -> None:
        self._say("Getting the tools")
        options = self._options
        provided = provide(options.peers, self._cache, options.work, running, self._providers)
        self.peers = provided.peers
        for peer in self.peers:
            self._say(f"  {peer.name}: {peer.version}")
        for name, reason in provided.left_out.items():
            self._leave_out(f"{name}: {reason}")

    def _on(self, recipe: Recipe) -> None:
        """Measure on one data set, which exists for as long as that takes."""
        storages = [storage for storage in self._options.storages if self._has_room(recipe, storage)]
        if not storages:
            return
        path = self._options.work / "data" / recipe.name
        try:
            data_set = build(recipe, path, self._options.scale)
            self.results.data_sets[recipe.name] = data_set.remark
            self._say(f"\n== {data_set.name}: {data_set.remark}")
            for storage in storages:
                self._over(storage, data_set)
        finally:
            shutil.rmtree(path, ignore_errors=True)

    def _over(self, storage: str, data_set: DataSet) -> None:
        """Measure over one storage, whose server runs for as long as that takes."""
        directory = self._options.work / f"{storage}-{data_set.name}"
        try:
            with running_server(storage, directory) as server:
                for number in range(self._options.rounds):
                    self._say(f"{data_set.name} over {storage}, round {number + 1}")
                    work = self._options.work
                    Round(number, data_set, server, work, self._say).run(
                        self._taking_part(storage, number), self.results
                    )
        except ServerError as error:
            self._leave_out(f"{data_set.name} over {storage}: {error}")
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    def _taking_part(self, storage: str, number: int) -> Sequence[Peer]:
        here = [peer for peer in self.peers if storage in peer.storages]
        return [peer for peer in here if not peer.slow or number < self._options.slow_rounds]

    def _has_room(self, recipe: Recipe, storage: str) -> bool:
        tools = len(self._taking_part(storage, 0))
        needed = needed_bytes(recipe, self._options.scale, tools, storage)
        lacking = shortage(needed, self._free_bytes(self._options.work))
        if lacking:
            self._leave_out(f"{recipe.name} over {storage}: {lacking}")
        return not lacking

    def _leave_out(self, sentence: str) -> None:
        self.results.left_out.append(sentence)
        self._say(f"LEFT OUT: {sentence}")
