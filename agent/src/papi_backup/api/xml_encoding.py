# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers as XML (docs/api_conventions.md, "Formats").

* The root is ``<result>``; a dictionary is one child element per key, a list repeats ``<element>``;
  null, an empty list and an empty dictionary are an empty element; booleans are ``true`` and ``false``;
  there are no attributes.
* **A key that is no XML name** arrives escaped: each character that must not stand where it stands becomes
  ``_xHHHH_``, its code point in four (or eight) upper-case hexadecimal digits, as .NET's
  ``XmlConvert.EncodeName`` and SQL Server do it: the storage ``my storage`` is ``<my_x0020_storage>``.
  Only ``A-Z a-z 0-9 _ - .`` stay, the first of them a letter or ``_``.  An underscore followed by ``x`` is
  escaped too (``_x005F_``), so no two keys share a name.  The empty key is ``<_x_>``; a first letter ``x``
  of a name that starts with the reserved ``xml``, and the first letter of a key that is just ``element``,
  are escaped: so ``<element>`` is always an item of a list.
* **A character that XML cannot carry** in a text (control characters, lone surrogates of undecodable file
  names, U+FFFE and U+FFFF) becomes ``_xHHHH_`` as well, as in Office Open XML, and so does an
  underscore that is followed by ``x`` and four such digits already.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_DECLARATION = '<?xml version="1.0" encoding="utf-8"?>\n'
_NOT_NAME = re.compile(r"[^A-Za-z0-9_.-]|^[0-9.-]|^[xX](?=[mM][lL])|_(?=x)|^e(?=lement$)")
_NOT_TEXT = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|_(?=x[0-9A-F]{4})")
_MARKUP = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"}
_MARKUP_CHARACTERS = re.compile("[&<>\r]")
_EMPTY_NAME = "_x_"


def encode_result(envelope: Mapping[str, object]) -> bytes:
    """Return an envelope as an XML document; raises :class:`TypeError` for what JSON could not carry."""
    parts = [_DECLARATION]
    _append(parts, "result", envelope)
    return "".join(parts).encode("utf-8")


def encode_element(item: Mapping[str, object]) -> bytes:
    """Return an item of a list, as it stands in the documents of :func:`encode_result`."""
    parts: list[str] = []
    _append(parts, "element", item)
    return "".join(parts).encode("utf-8")


def encode_name(key: str) -> str:
    """Return ``key`` as an element's name."""
    return _NOT_NAME.sub(_escaped, key) or _EMPTY_NAME


def encode_text(text: str) -> str:
    """Return ``text`` as character data, markup escaped."""
    return _MARKUP_CHARACTERS.sub(lambda found: _MARKUP[found[0]], _NOT_TEXT.sub(_escaped, text))


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"_x{code:04X}_" if code <= 0xFFFF else f"_x{code:08X}_"


def _append(parts: list[str], name: str, value: object) -> None:
    if value is None or value in ("", [], {}, ()):
        parts.append(f"<{name}/>")
        return
    parts.append(f"<{name}>")
    if isinstance(value, Mapping):
        for key, item in value.items():
            _append(parts, encode_name(str(key)), item)
    elif isinstance(value, list | tuple):
        for item in value:
            _append(parts, "element", item)
    else:
        parts.append(_scalar(value))
    parts.append(f"</{name}>")


def _scalar(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, str):
        return encode_text(value)
    raise TypeError(f"{type(value).__name__} has no form in XML")
