# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text that compresses about as logs do, and of which no two blocks are the same; fast to make."""

from __future__ import annotations

import random
import string

_WORDS = 12_000
_MOST_PHRASES = 200_000
_PHRASE_WORDS = 9
_PHRASE_BYTES = 67
_LINES_A_BATCH = 1024


class Texts:
    """An endless stream of lines; the same for the same seed."""

    def __init__(self, seed: int, size: int) -> None:
        """``size`` is about how many bytes are wanted: the fewer, the fewer phrases are made up before."""
        self._draw = random.Random(seed)  # noqa: S311 -- contents, not secrets
        draw = self._draw
        phrases = min(_MOST_PHRASES, _LINES_A_BATCH + size // _PHRASE_BYTES)
        letters = string.ascii_lowercase
        words = ["".join(draw.choices(letters, k=draw.randint(2, 11))) for unused in range(_WORDS)]
        self._phrases = [" ".join(draw.choices(words, k=_PHRASE_WORDS)) for unused in range(phrases)]
        self._number = 0
        self._rest = b""

    def block(self, size: int) -> bytes:
        """Return the next lines: exactly ``size`` bytes."""
        parts, have = [self._rest], len(self._rest)
        while have < size:
            parts.append(self._batch())
            have += len(parts[-1])
        whole = b"".join(parts)
        self._rest = whole[size:]
        return whole[:size]

    def _batch(self) -> bytes:
        chosen = self._draw.choices(self._phrases, k=_LINES_A_BATCH)
        start = self._number
        self._number += _LINES_A_BATCH
        lines = [
            f"{start + place:010} {place * 2654435761 & 0xFFFFFFFF:08x} {text}\n"
            for place, text in enumerate(chosen)
        ]
        return "".join(lines).encode()
