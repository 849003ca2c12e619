# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hard links that had to wait for all shares, and groups whose first name this host refused.

The content of such a group is sound: another of its names gets it, and the others are linked to that.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping

from papi_backup.engine.restore.crew import Claims
from papi_backup.engine.restore.index import Leaf
from papi_backup.engine.restore.share import Head, PendingLink, Share, ShareResult
from papi_backup.engine.restore.tally import Tally
from papi_backup.engine.restore.worker import Worker

Groups = dict[str, deque[PendingLink]]


def finish_links(
    worker: Worker,
    links: Iterable[PendingLink],
    heads: Mapping[str, Head],
    failed: Mapping[str, str],
    claims: Claims,
) -> Iterator[ShareResult]:
    """Yield what came of the links that waited; ``heads`` are the first names of groups that have one.

    ``failed`` tells of the others what is to blame.

    Raises PapiError where the restore must end.
    """
    waiting: Groups = defaultdict(deque)
    for link in links:
        waiting[link.group].append(link)
    heads, failed = dict(heads), dict(failed)
    while waiting:
        yield _settle(worker, waiting, heads, failed)
        failed = {}
        for share in _next_names(waiting, claims):
            result = worker.run(share)
            heads.update(result.heads)
            failed.update(result.failed_groups)
            yield result


def _settle(
    worker: Worker, waiting: Groups, heads: Mapping[str, Head], failed: Mapping[str, str]
) -> ShareResult:
    """Take out of ``waiting`` what can be linked, what damage has taken, and what nobody is left for."""
    links: list[tuple[Head, bytes]] = []
    lost = Tally()
    for group in list(waiting):
        damage, first = failed.get(group), heads.get(group)
        if damage:
            for link in waiting.pop(group):
                lost.lost.add(damage, link.path)
        elif damage is None and first is not None:
            links.extend((first, link.path) for link in waiting.pop(group))
        elif not waiting[group]:
            del waiting[group]
    result = worker.finish(links)
    result.tally.merge(lost)
    return result


def _next_names(waiting: Groups, claims: Claims) -> list[Share]:
    """Take one name of each group, which may claim it now, and return the shares that write them."""
    rows: dict[Leaf, set[int]] = defaultdict(set)
    for group, links in waiting.items():
        claims.release(group)
        link = links.popleft()
        rows[link.leaf].add(link.row)
    return [Share((leaf,), frozenset(numbers)) for leaf, numbers in rows.items()]
