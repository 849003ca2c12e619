# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients of this API family that nobody here wrote, unmodified, behind one face.

``misp-modules`` is used as its users do it without its other hundred modules: the one file by its path.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from importlib.metadata import distribution
from types import ModuleType
from typing import Any, Protocol

from tau_clients import exceptions, nsx_defender


class Stranger(Protocol):
    """What the tests do with either client."""

    errors: type[Exception]

    def get(self, path: str, **fields: object) -> Any:
        """Call by GET and return the data."""

    def post(self, path: str, **fields: object) -> Any:
        """Call by POST and return the data."""

    def xml(self, path: str, **fields: object) -> bytes:
        """Call by GET and return the XML document."""


def _load_misp() -> ModuleType:
    file = distribution("misp-modules").locate_file("misp_modules/lib/lastline_api.py")
    spec = importlib.util.spec_from_file_location("lastline_api", str(file))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


LASTLINE = _load_misp()


class Misp:
    """misp-modules' client, by whole URLs."""

    errors: type[Exception] = LASTLINE.ApiError

    def __init__(self, base: str, credentials: dict[str, str]) -> None:
        self._base = base
        self._client = LASTLINE.PortalClient(base, credentials, verify_ssl=False, timeout=10)

    def get(self, path: str, **fields: object) -> Any:
        """Call by GET."""
        return self._client.do_request("GET", f"{self._base}/backup/{path}.json", params=fields)

    def post(self, path: str, **fields: object) -> Any:
        """Call by POST."""
        return self._client.do_request("POST", f"{self._base}/backup/{path}.json", data=fields)

    def xml(self, path: str, **fields: object) -> bytes:
        """Call by GET for XML."""
        url = f"{self._base}/backup/{path}.xml"
        document: bytes = self._client.do_request("GET", url, params=fields, fmt="xml", raw=True)
        return document


class _TauPortal(nsx_defender.PortalClient):
    MODULES = (*nsx_defender.PortalClient.MODULES, "backup")
    FORMATS = ("json", "xml")


class Tau:
    """tau-clients' client; its subclass only names the module and the format."""

    errors: type[Exception] = exceptions.ApiError

    def __init__(self, base: str, credentials: dict[str, str]) -> None:
        self._client = _TauPortal(base, credentials, timeout=10)

    def get(self, path: str, **fields: object) -> Any:
        """Call by GET."""
        return self._client.get("backup", path.split("/"), params=fields)

    def post(self, path: str, **fields: object) -> Any:
        """Call by POST."""
        return self._client.post("backup", path.split("/"), data=fields)

    def xml(self, path: str, **fields: object) -> bytes:
        """Call by GET for XML."""
        document: bytes = self._client.get("backup", path.split("/"), params=fields, fmt="xml", raw=True)
        return document


STRANGERS: dict[str, Callable[[str, dict[str, str]], Stranger]] = {"misp-modules": Misp, "tau-clients": Tau}
