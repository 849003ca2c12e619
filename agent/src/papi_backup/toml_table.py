# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A TOML table read key by key, so that each mistake is told with its key and file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from papi_backup.model.errors import InvalidParameterError


class Table:
    """One table; remembers which keys were asked for, so that the others can be refused as unknown."""

    def __init__(self, values: Mapping[str, Any], file: Path, prefix: str = "") -> None:
        """Wrap parsed ``values``; ``prefix`` is the table's dotted name with a trailing dot."""
        self._values = values
        self._file = file
        self._prefix = prefix
        self._asked: set[str] = set()

    def error(self, key: str, problem: str) -> InvalidParameterError:
        """Return an error that names the key and the file; the caller raises it."""
        name = f"{self._prefix}{key}"
        return InvalidParameterError(f"{name} in {self._file}: {problem}", name)

    def names(self) -> list[str]:
        """Return all keys, in the file's order."""
        return list(self._values)

    def table(self, key: str) -> Table:
        """Return a sub-table; an absent one is empty."""
        value = self._get(key)
        if value is not None and not isinstance(value, dict):
            raise self.error(key, f"expected a table [{self._prefix}{key}]")
        return Table(value or {}, self._file, f"{self._prefix}{key}.")

    def tables(self, key: str) -> list[Table]:
        """Return the tables of a list ``[[key]]``; an absent one is empty.  The first is number 1."""
        values = self._get(key)
        if values is None:
            return []
        if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
            raise self.error(key, f"expected tables [[{self._prefix}{key}]]")
        return [
            Table(value, self._file, f"{self._prefix}{key}.{number}.")
            for number, value in enumerate(values, start=1)
        ]

    def has(self, key: str) -> bool:
        """Whether there is such a key."""
        return key in self._values

    def text(self, key: str, default: str) -> str:
        """Return a string."""
        value = self._get(key)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self.error(key, "expected a string")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of strings; an absent one is empty."""
        value = self._get(key)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.error(key, "expected a list of strings")
        return tuple(value)

    def integer(self, key: str, default: int, lowest: int, highest: int) -> int:
        """Return a whole number from ``lowest`` to ``highest``."""
        value = self._get(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
            raise self.error(key, f"expected a whole number from {lowest} to {highest}")
        return value

    def choice(self, key: str, default: str, choices: Sequence[str]) -> str:
        """Return one of ``choices``."""
        value = self.text(key, default)
        if value not in choices:
            raise self.error(key, f"expected one of {', '.join(choices)}")
        return value

    def absolute_paths(self, key: str) -> tuple[str, ...]:
        """Return a list of absolute paths; an absent one is empty."""
        paths = self.texts(key)
        for path in paths:
            self._require_absolute(key, path)
        return paths

    def optional_path(self, key: str) -> Path | None:
        """Return an absolute path, or None."""
        value = self.text(key, "")
        if not value:
            return None
        self._require_absolute(key, value)
        return Path(value)

    def _require_absolute(self, key: str, path: str) -> None:
        if not path.startswith("/") or "\0" in path:
            raise self.error(key, f"{path!r} is not an absolute path")

    def absolute_path(self, key: str) -> Path:
        """Return an absolute path that must be there."""
        path = self.optional_path(key)
        if path is None:
            raise self.error(key, "missing; give an absolute path")
        return path

    def refuse_unknown(self) -> None:
        """Raise for the first key nobody asked for."""
        for key in self._values:
            if key not in self._asked:
                raise self.error(key, "unknown key")

    def _get(self, key: str) -> Any:
        self._asked.add(key)
        return self._values.get(key)
