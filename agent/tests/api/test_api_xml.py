# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""XML answers: one documented form, read back with a real parser."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from xml_agreement import decode_name, decode_text

from papi_backup.api.xml_encoding import encode_name, encode_result, encode_text

ANY_TEXT = st.text(st.characters(exclude_categories=()))
TRICKY = st.text("_xX0041mlLM element\x00\x01\ud800\udcff\ufffe\r\n\t<&]>\"'é😀")
TEXTS = ANY_TEXT | TRICKY
SCALARS = st.none() | st.booleans() | st.integers() | TEXTS
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4)
)


def parsed(data: object) -> ElementTree.Element:
    document = encode_result({"success": 1, "data": data})
    root = ElementTree.fromstring(document)  # noqa: S314 (made by the code under test)
    assert root.tag == "result"
    found = root.find("data")
    assert found is not None
    return found


def read_back(element: ElementTree.Element) -> object:
    """Read an element without knowing what to expect: scalars are texts, whatever is empty is ""."""
    assert element.attrib == {}
    children = list(element)
    if not children:
        return decode_text(element.text or "")
    assert not (element.text or "").strip()
    if all(child.tag == "element" for child in children):
        return [read_back(child) for child in children]
    return {decode_name(child.tag): read_back(child) for child in children}


def as_texts(value: object) -> object:
    """What is left of a value (docs/api_conventions.md): no types, no telling of the empty things apart."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None or value in ("", [], {}):
        return ""
    if isinstance(value, list):
        return [as_texts(item) for item in value]
    if isinstance(value, dict):
        return {key: as_texts(item) for key, item in value.items()}
    return str(value)


@given(VALUES)
@example({"my storage": [], "element": {"element": "1"}, "": {"_x_": "", "_x005F_": "a"}})
@example(["_x0041_", "\x01", "_x00\x01", "_x0001\x02", "\r\n", " padded ", "]]>"])
@example({"xml": 1, "XMLthing": 2, "x": 3, "1st": 4, "-a": 5, ".b": 6, "a:b": 7, "é": 8, "😀": 9})
def test_what_goes_in_comes_back(value: object) -> None:
    assert read_back(parsed(value)) == as_texts(value)


@given(st.lists(TEXTS, unique=True, min_size=2))
def test_no_two_keys_share_a_name_and_each_name_is_one_everywhere(keys: list[str]) -> None:
    names = [encode_name(key) for key in keys]
    assert len(set(names)) == len(names)
    for key, name in zip(keys, names, strict=True):
        assert re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", name, re.ASCII)
        assert not name.lower().startswith("xml")
        assert name != "element"
        assert decode_name(name) == key


@given(TEXTS)
def test_texts_come_back(text: str) -> None:
    root = ElementTree.fromstring(f"<a>{encode_text(text)}</a>")  # noqa: S314 (made by the code under test)
    assert decode_text(root.text or "") == text


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("storage_name", "storage_name"),
        ("my storage", "my_x0020_storage"),
        ("1st", "_x0031_st"),
        ("a_x", "a_x005F_x"),
        ("element", "_x0065_lement"),
        ("elements", "elements"),
        ("xmlrpc", "_x0078_mlrpc"),
        ("😀", "_x0001F600_"),
        ("\udcff", "_xDCFF_"),
        ("", "_x_"),
    ],
)
def test_the_documented_form_of_keys(key: str, name: str) -> None:
    assert encode_name(key) == name


def test_an_ordinary_answer_looks_as_clients_expect() -> None:
    document = encode_result({"success": 1, "data": [{"full": True, "path": "a<b", "size": 0, "end": None}]})
    assert document.decode() == (
        '<?xml version="1.0" encoding="utf-8"?>\n<result><success>1</success><data><element>'
        "<full>true</full><path>a&lt;b</path><size>0</size><end/></element></data></result>"
    )
