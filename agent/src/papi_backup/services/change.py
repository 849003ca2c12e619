# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan, then apply: the answer of every changing verb (docs/design.md, "Changes are planned first")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Change(Generic[T]):
    """What a verb changed, or would change.  ``before`` None: it is new; ``after`` None: it goes."""

    changed: bool
    before: T | None
    after: T | None
