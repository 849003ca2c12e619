# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be said of an operator's key: one of blanks is a mistake, a short one is soon guessed."""

from __future__ import annotations

from papi_backup.model.secret import Secret

LEAST_CHARACTERS = 8


def is_blank(key: Secret) -> bool:
    """Return whether a key has nothing but blanks, as from a file with nothing but a line end."""
    return bool(key) and not key.reveal().strip()


def remark_on(key: Secret) -> str:
    """Return what is to be said of a key, without the key; "" if nothing."""
    if is_blank(key):
        return (
            "the encryption_key has nothing but blanks, as from an empty file or template: "
            "give the configuration a real one; what was written with this one needs it byte for byte"
        )
    if 0 < len(key.reveal()) < LEAST_CHARACTERS:
        return f"the encryption_key has fewer than {LEAST_CHARACTERS} characters and is soon guessed"
    return ""
