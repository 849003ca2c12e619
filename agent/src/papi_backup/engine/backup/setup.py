# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every writer of one backup shares once keys and chain are known."""

from __future__ import annotations

from dataclasses import dataclass

from papi_backup.engine.crypto import ChainKeys
from papi_backup.engine.format.header import Chunker
from papi_backup.engine.format.names import chain_prefix
from papi_backup.engine.format.segment import SegmentContext, segment_cap
from papi_backup.model.sizes import MEBIBYTE


@dataclass(frozen=True, slots=True, repr=False)
class WriterSetup:
    """Keys, MAC context and sizes (bytes) of the backup being written."""

    keys: ChainKeys
    context: SegmentContext
    chunker: Chunker
    host_name: str
    backup_name: str
    file_size: int

    @property
    def backup(self) -> str:
        """Id of the backup being written."""
        return self.context.backup

    @property
    def prefix(self) -> str:
        """Prefix of the chain's volumes."""
        return chain_prefix(self.host_name, self.backup_name, self.context.chain)

    @property
    def capacity(self) -> int:
        """Raw bytes of a full segment."""
        return segment_cap(self.file_size)


def chunker_for(file_size: int) -> Chunker:
    """Return the chunk sizes of a new chain: 1 MiB on average where segments allow it."""
    cap = segment_cap(file_size)
    average = min(MEBIBYTE, 1 << (cap // 2).bit_length() - 1)
    return Chunker(minimum=average // 4, average=average, maximum=cap)
