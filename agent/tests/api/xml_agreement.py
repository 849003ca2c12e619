# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an XML answer, read with a real parser, says what a JSON answer says."""

from __future__ import annotations

import re
from xml.etree import ElementTree

_ESCAPE = re.compile(r"_x([0-9A-F]{8}|[0-9A-F]{4})_")


def decode_name(name: str) -> str:
    """Return the key behind an element's name."""
    return "" if name == "_x_" else decode_text(name)


def decode_text(text: str) -> str:
    """Return the text behind character data, as an XML parser gives it."""
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)


def agrees(element: ElementTree.Element, value: object) -> bool:
    """Whether an XML element holds what JSON says."""
    if element.attrib:
        return False
    if isinstance(value, dict):
        children = [(decode_name(child.tag), child) for child in element]
        return [name for name, unused in children] == list(value) and all(
            agrees(child, value[name]) for name, child in children
        )
    if isinstance(value, list):
        children_of_list = list(element)
        return len(children_of_list) == len(value) and all(
            child.tag == "element" and agrees(child, item)
            for child, item in zip(children_of_list, value, strict=True)
        )
    text = decode_text(element.text or "")
    expected = str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)
    return not list(element) and text == expected
