# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parser every command is built with."""

from __future__ import annotations

import argparse
from typing import Any


class Parser(argparse.ArgumentParser):
    """Takes options by their whole names only: ``--password X`` must not pass for ``--password-file X``."""

    def __init__(self, **options: Any) -> None:
        """As argparse's, without abbreviations; sub-commands inherit the class."""
        super().__init__(**{"allow_abbrev": False} | options)


Commands = argparse._SubParsersAction
"""What sub-commands are added to; argparse has no public name for it."""
