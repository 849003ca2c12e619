# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixed inputs give fixed bytes: format version 1 cannot drift.

Whoever has to change a value here is making another format version, and old storages unreadable.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from storage_maker import CHAIN, CHAIN_KEY, FIRST, INSTANCE, an_entry, some_header

from papi_backup.engine.compression import SegmentDecompressor
from papi_backup.engine.crypto import ChainKeys, open_sealed, seal, unwrap_chain_key
from papi_backup.engine.format.entries import ANCESTOR, DIRECTORY, SYMLINK, Entry
from papi_backup.engine.format.header import parse_header
from papi_backup.engine.format.leaf import LeafPage
from papi_backup.engine.format.leaf_encoding import encode_leaf
from papi_backup.engine.format.manifest import Manifest, Parent, Totals, decode_body, encode_body, preamble
from papi_backup.engine.format.pages import (
    Child,
    ItemChild,
    Page,
    Volume,
    decode_page,
    encode_items_node,
    encode_items_page,
    encode_node,
    encode_volumes_page,
)
from papi_backup.engine.format.references import Item, PageRef, SegmentRef, VolumeRange
from papi_backup.engine.format.segment import IV_SIZE, STORED, build_frame, parse_frame
from papi_backup.engine.opened import segment_context
from papi_backup.model.secret import Secret

ENCRYPTION = "5fc198f1de766ed996fdb4ca30eaeb8081cc3b70c91aa98c732a213243dd9059"
AUTHENTICATION = "ed84e4ae45968a12762e5b0a593c21ae270b1f6225b601cdd9fb7a95837482eb"
CHUNK_ID = "e9c646a9b002b21a5318119589feb81d349c869f96d4ff061e0c37679a4aa054"
CHUNKER_SEED = 4050304346685598707
ID_OF_HELLO = "4de11cadc81cdba3d7b27f5d88324425"
ENCRYPTED_HEADER = (
    r'{"chain":"c0ffee0123456789","chunk_id":"blake3-keyed-128","chunker":{"algorithm":"fastcdc-2020",'
    r'"average":262144,"maximum":983040,"minimum":65536,"normalization":1},"file_size":1048576,"format'
    r'":1,"required":[],"required_to_extend":[],"slots":[{"key":"Z9xQSXqCLD6U9PjztDA8FXPvhKlfpyVEidiiM'
    r'4gFf7WdQeHclrvRFg==","n":1024,"p":1,"r":8,"salt":"MDEyMzQ1Njc4OWFiY2RlZg==","type":"scrypt"}],"s'
    r'uite":"aes-256-cbc+hmac-sha-256"}'
)
RAW_HEADER = (
    r'{"chain":"c0ffee0123456789","chunk_id":"blake3-keyed-128","chunker":{"algorithm":"fastcdc-2020",'
    r'"average":262144,"maximum":983040,"minimum":65536,"normalization":1},"file_size":1048576,"format'
    r'":1,"required":[],"required_to_extend":[],"slots":[{"key":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaG'
    r'xwdHh8=","type":"clear"}],"suite":"raw+hmac-sha-256"}'
)
CONTEXT = (
    "0000000b706170692d6261636b7570000000020001000000186165732d3235362d6362632b686d61632d7368612d3235"
    "360000000c686f73742e6578616d706c650000000b6d793d32306261636b757000000008c0ffee012345678900000008"
    "000000000000000100000001640000000800000000000004d2000000080000000000010000"
)
MANIFEST_CONTEXT = (
    "0000000b706170692d6261636b7570000000020001000000186165732d3235362d6362632b686d61632d7368612d3235"
    "360000000c686f73742e6578616d706c650000000b6d793d32306261636b757000000008c0ffee012345678900000008"
    "0000000000000001000000016d0000000800000000000000000000000800000000000000000000001d686f73742e6578"
    "616d706c652f6d793d32306261636b75702f782e76310000000e50415049424b5031000000027b7d"
)
FRAME = "0000000000000005000000050000000068656c6c6f0000000000000000000000"
ENCRYPTED = (
    "000102030405060708090a0b0c0d0e0f856aed4327cee057be4e0175b22c1fae9d68506347cc47b8dcec2d677ecd3001"
    "29477b7d3644c0f53ff088d606ea9d43355837e12fbf2093b8987359df726adf"
)
RAW = (
    "0000000000000005000000050000000068656c6c6f0000000000000000000000550b9488060370b83f5a262cd73e963b"
    "1dd3f6e9e8f0796f2ad32ec1c1062681"
)
COMPRESSED = (
    "000102030405060708090a0b0c0d0e0fd469441917c85684ca9f2a5111ce91125e2c370c912902dca1183faede2b1fbd"
    "7ac534ab550b6d76d57b2cbc6611ac38ff195d93f39172e566ebe7fcb78a8c7b2573e4ec4cf52486152fcf427b7937ca"
)
LEAF = (
    r'{"k":"leaf","t":"ddflcff","d":[0,0,1,1,1,1,1],"n":["","srv","caf\u00e9\udcff","link","null","spa'
    r'rse","vast"],"m":[493,493,420,420,420,420,420],"o":[0,0,0,0,0,0,0],"mt":[1700000000123456789,170'
    r"0000000123456789,-1,1700000000123456789,1700000000123456789,1700000000123456789,1700000000123456"
    r'789],"ct":[1700000001000000000,1700000001000000000,1700000001000000000,1700000001000000000,17000'
    r'00001000000000,1700000001000000000,1700000001000000000],"in":[7,7,7,7,7,7,7],"s":[0,0,5,0,0,9,5]'
    r',"c":[0,0,1,0,0,2,0],"dirs":["","srv"],"owners":[[0,0,"root","root"]],"sg":[0,-1,0],"of":[0,0,0]'
    r',"ln":[5,4,5],"ids":"TeEcrcgc26PXsn9diDJEJU3hHK3IHNuj17J/XYgyRCU=","lists":{"6":[[0,0,5],[["d","'
    r'0000000000000001",0,9]]]},"x":{"2":{"user.k":"dg=="}},"l":{"3":"../x"},"h":{"2":"801:7"},"r":{"4'
    r'":[1,3]},"fl":{"0":["ancestor"]},"backups":["0000000000000001"],"segs":[[0,1234,65536,80,5,"AAEC'
    r'AwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="]]}'
)
NODE = (
    r'{"k":"node","c":[[0,0,5,"srv",300]],"backups":["0000000000000001"],"segs":[[0,1234,65536,80,5,"A'
    r'AECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="]]}'
)
ITEMS = (
    r'{"k":"items","sg":[0],"of":[0],"ln":[5],"ids":"TeEcrcgc26PXsn9diDJEJQ==","backups":["00000000000'
    r'00001"],"segs":[[0,1234,65536,80,5,"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="]]}'
)
ITEMS_NODE = (
    r'{"k":"itemsnode","c":[[0,0,5,5]],"backups":["0000000000000001"],"segs":[[0,1234,65536,80,5,"AAEC'
    r'AwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="]]}'
)
VOLUMES = r'{"k":"volumes","v":[["0000000000000001","d",0,[1000,900]],["0000000000000001","i",0,[500]]]}'
BODY = (
    r'{"format":1,"required":[],"host":"Host.example","name":"my backup","type":"inc","date":"2026-03-'
    r'01T12:30:00Z","chain":"c0ffee0123456789","backup":"0000000000000002","instance":"feedfacecafebee'
    r'f","sequence":1,"scan_started":1772368199000000000,"paths":["srv"],"excludes":["*.tmp"],"parent"'
    r':["0000000000000001","000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"],"root":'
    r'[0,0,5],"volumes":[["0000000000000001","d",0,[1000,900]],["0000000000000001","i",0,[500]]],"volu'
    r'me_pages":[],"totals":{"entries":7,"files":3,"bytes":19,"bytes_read":5,"bytes_stored":2400,"warn'
    r'ings":1,"dead_bytes":0},"agent":"1.0.0","backups":["0000000000000001"],"segs":[[0,1234,65536,80,'
    r'5,"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="]]}'
)

KEYS = ChainKeys.derive(CHAIN_KEY, CHAIN, encrypted=True)
CLEAR_KEYS = ChainKeys.derive(CHAIN_KEY, CHAIN, encrypted=False)
SEALED_CONTEXT = segment_context(some_header("the key"), "Host.example", "my backup", FIRST)
IV = bytes(range(IV_SIZE))
SEGMENT = SegmentRef(FIRST, 1234, 65536, 80, 5, bytes(range(32)))
REFERENCE = PageRef(SEGMENT, 0, 5)
ITEM = Item(SEGMENT, 0, 5, bytes.fromhex(ID_OF_HELLO))
TABLE = (Volume(FIRST, "d", 0, 1000), Volume(FIRST, "d", 1, 900), Volume(FIRST, "i", 0, 500))
ENTRIES: list[Entry] = [
    an_entry(b"", DIRECTORY, flags=(ANCESTOR,)),
    an_entry(b"srv", DIRECTORY),
    an_entry(
        b"srv/caf\xc3\xa9\xff",
        size=5,
        items=[ITEM],
        xattrs={b"user.k": b"v"},
        link_group="801:7",
        mtime_ns=-1,
    ),
    an_entry(b"srv/link", SYMLINK, link_target=b"../x"),
    an_entry(b"srv/null", "c", device=(1, 3)),
    an_entry(b"srv/sparse", size=9, items=[Item(None, 0, 4, bytes(16)), ITEM]),
    an_entry(b"srv/vast", size=5, item_pages=REFERENCE, item_volumes=(VolumeRange("d", FIRST, 0, 9),)),
]
MANIFEST = Manifest(
    host_name="Host.example",
    backup_name="my backup",
    backup_type="inc",
    date="2026-03-01T12:30:00Z",
    chain=CHAIN,
    backup="0000000000000002",
    instance=INSTANCE,
    sequence=1,
    scan_started_ns=1772368199000000000,
    paths=(b"srv",),
    excludes=(b"*.tmp",),
    root=REFERENCE,
    volumes=TABLE,
    parent=Parent(FIRST, bytes(range(32))),
    totals=Totals(7, 3, 19, 5, 2400, 1, 0),
    agent_version="1.0.0",
)


def test_subkeys() -> None:
    assert KEYS.encryption.hex() == ENCRYPTION
    assert KEYS.authentication.hex() == CLEAR_KEYS.authentication.hex() == AUTHENTICATION
    assert KEYS.chunk_id.hex() == CHUNK_ID
    assert KEYS.chunker_seed == CHUNKER_SEED
    assert KEYS.chunk_id_of(b"hello").hex() == ID_OF_HELLO


def test_headers_and_the_wrapped_chain_key() -> None:
    assert some_header("the key").encoded.decode() == ENCRYPTED_HEADER
    assert some_header().encoded.decode() == RAW_HEADER
    assert unwrap_chain_key(parse_header(ENCRYPTED_HEADER.encode()), Secret("the key")) == CHAIN_KEY


def test_mac_contexts() -> None:
    assert SEALED_CONTEXT.of("d", 1234, 65536).hex() == CONTEXT
    name = "host.example/my=20backup/x.v1"
    assert SEALED_CONTEXT.of_manifest(name, preamble(b"{}")).hex() == MANIFEST_CONTEXT


def test_a_sealed_segment() -> None:
    frame = build_frame(STORED, 5, b"hello", hide_size=True)
    assert b"".join(frame).hex() == FRAME
    assert seal(KEYS, bytes.fromhex(CONTEXT), frame, IV).hex() == ENCRYPTED
    raw_context = segment_context(some_header(), "Host.example", "my backup", FIRST).of("d", 1234, 65536)
    assert seal(CLEAR_KEYS, raw_context, frame, IV).hex() == RAW


def test_a_compressed_segment_of_long_ago_still_opens() -> None:
    frame = parse_frame(open_sealed(KEYS, bytes.fromhex(CONTEXT), bytes.fromhex(COMPRESSED)), 600)
    assert bytes(SegmentDecompressor().decompress(frame)) == b"hello " * 100


@pytest.mark.parametrize(
    ("encoded", "known"),
    [
        (encode_leaf(ENTRIES), LEAF),
        (encode_node([Child(REFERENCE, b"srv", 300)]), NODE),
        (encode_items_page([ITEM]), ITEMS),
        (encode_items_node([ItemChild(REFERENCE, 5)]), ITEMS_NODE),
        (encode_volumes_page(TABLE), VOLUMES),
    ],
    ids=["leaf", "node", "items", "itemsnode", "volumes"],
)
def test_pages(encoded: bytes, known: str) -> None:
    assert encoded.decode() == known
    page: Page = decode_page(known.encode())
    if isinstance(page, LeafPage):
        assert list(page.entries()) == ENTRIES


def test_a_manifest() -> None:
    assert encode_body(MANIFEST).decode() == BODY
    assert decode_body(BODY.encode()) == MANIFEST


DOCUMENT = (Path(__file__).parents[3] / "docs" / "format.md").read_text(encoding="utf-8")
EXAMPLES = [ENCRYPTION, AUTHENTICATION, CHUNK_ID, ENCRYPTED_HEADER, FRAME, ENCRYPTED, RAW, LEAF, BODY]


@pytest.mark.parametrize("known", EXAMPLES, ids=range(len(EXAMPLES)))
def test_the_documents_example_is_what_the_code_does(known: str) -> None:
    assert "".join(known.split()) in "".join(DOCUMENT.split())


def test_the_documents_context_is_what_the_code_does() -> None:
    fields = re.findall("^    ([0-9a-f]{8}) ([0-9a-f]+) +", DOCUMENT, re.MULTILINE)
    assert "".join(length + field for length, field in fields) == CONTEXT


@pytest.mark.parametrize("encoded", [ENCRYPTED_HEADER, LEAF, NODE, ITEMS, ITEMS_NODE, VOLUMES, BODY])
def test_every_member_that_is_written_is_documented(encoded: str) -> None:
    document = json.loads(encoded)
    members = {*document, *document.get("chunker", ()), *document.get("totals", ())}
    for slot in document.get("slots", ()):
        members.update(slot)
    assert [member for member in sorted(members) if f"`{member}`" not in DOCUMENT] == []
