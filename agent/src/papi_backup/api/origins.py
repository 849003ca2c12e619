# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a browser sent a request for a page of somebody else (docs/accounts.md "Browsers").

A browser adds the cookie to what any page of any site asks it to send.  It also says which page asked.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from starlette.datastructures import Headers

from papi_backup.model.origin import normal_origin

_OWN_SITES = ("same-origin", "none")
"""``none``: a person typed the address or chose a bookmark."""


@dataclass(frozen=True, slots=True)
class PageOrigin:
    """What the headers of a request say of the page that it is sent for.

    ``origins`` and ``sites`` are the values of ``Origin`` and ``Sec-Fetch-Site``, ``own`` the request's own
    origin by its ``Host`` header, "" where that names none.  A page cannot choose any of them.
    """

    origins: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    own: str = ""


def page_origin(headers: Headers, scheme: str) -> PageOrigin:
    """Return what ``headers`` say of a request over ``scheme``."""
    hosts = headers.getlist("host")
    own = normal_origin(f"{scheme}://{hosts[0].strip()}") if len(hosts) == 1 else ""
    origins = tuple(value.strip() for value in headers.getlist("origin"))
    sites = tuple(value.strip().lower() for value in headers.getlist("sec-fetch-site"))
    return PageOrigin(origins, sites, own)


class AllowedOrigins:
    """Whose pages may use the cookie: the agent's own, and those that the settings name."""

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        """``allowed`` are origins as :func:`normal_origin` writes them."""
        self._allowed = frozenset(allowed)

    def refusal(self, page: PageOrigin) -> str:
        """Return why the cookie does not count for ``page``; "" where it does.

        A page of an allowed origin may be of another site: a browser then says so, and nothing is wrong.
        """
        origins = [normal_origin(origin) for origin in page.origins]
        for told, origin in zip(page.origins, origins, strict=True):
            if not origin or (origin not in self._allowed and origin != page.own):
                return f"the page that sent this request is of the origin {told[:200]!r}"
        if origins and all(origin in self._allowed for origin in origins):
            return ""
        for site in page.sites:
            if site not in _OWN_SITES:
                return f"a page of another site sent this request (Sec-Fetch-Site: {site[:40]})"
        return ""
