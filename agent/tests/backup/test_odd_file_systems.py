# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""File systems that say of their files what is not so, or fail to say it: what can be had is saved."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from backing_host import Host
from realparts.user_file_system import Thing, mounted
from seen_trees import Tree

needs_fuse = pytest.mark.skipif(
    os.geteuid() != 0 or not Path("/dev/fuse").exists(), reason="mounts what it makes up: root and /dev/fuse"
)
pytestmark = needs_fuse


class Odd:
    """A host whose tree is on such a file system."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.warnings: tuple[str, ...] = ()

    def saved(self, *, again: bool = False, **children: Thing) -> Tree:
        """Back up a directory of these, twice if ``again``, and return what the newest backup has of it."""
        # The file system and the temporary directory are two devices.
        with mounted(
            Thing(children={name.encode(): child for name, child in children.items()}), self.host.tree
        ):
            for _unused in range(2 if again else 1):
                self.warnings = self.host.back_up().warnings
        return self.host.saved()


@pytest.fixture(params=[0, 2], ids=["in the job", "by helpers"])
def odd(request: pytest.FixtureRequest, host: Host) -> Iterator[Odd]:
    host.helpers = request.param
    yield Odd(host)
    shutil.rmtree(host.tree)


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("inode", [0, 7])
def test_files_and_directories_whose_inode_numbers_are_alike_are_all_saved(odd: Odd, inode: int) -> None:
    def nested(depth: int) -> Thing:
        content = f"at {depth}".encode()
        children = {b"file": Thing(content, inode=inode)}
        if depth:
            children[b"below"] = nested(depth - 1)
        return Thing(children=children, inode=inode)

    tree = odd.saved(top=nested(3), other=Thing(b"other", inode=inode), again=True)
    assert {path: thing.content for path, thing in tree.items() if thing.kind == "f"} == {
        b"other": digest(b"other"),
        **{b"top/" + b"below/" * (3 - at) + b"file": digest(f"at {at}".encode()) for at in range(4)},
    }
    assert odd.warnings == ()


@pytest.mark.parametrize("inode", [0, 7])
def test_files_that_say_they_have_several_names_and_one_number_stay_two_files(odd: Odd, inode: int) -> None:
    """What is found alike need not be one file where numbers are made up."""
    tree = odd.saved(
        one=Thing(b"one", inode=inode, links=2),
        two=Thing(b"two", inode=inode, links=2),
        to_one=Thing(target=b"one", inode=inode, links=2),
        to_two=Thing(target=b"two", inode=inode, links=2),
    )
    assert {name: (thing.content, thing.target, thing.peers) for name, thing in tree.items() if name} == {
        b"one": (digest(b"one"), b"", frozenset()),
        b"two": (digest(b"two"), b"", frozenset()),
        b"to_one": ("", b"one", frozenset()),
        b"to_two": ("", b"two", frozenset()),
    }


@pytest.mark.parametrize("length", [1, 5000, 9 << 20])
def test_a_file_that_says_it_is_empty_is_saved_with_its_content(odd: Odd, length: int) -> None:
    content = os.urandom(length)
    tree = odd.saved(file=Thing(content, size=0), again=True)
    assert (tree[b"file"].size, tree[b"file"].content) == (length, digest(content))
    assert odd.warnings == ()


def test_what_such_a_file_says_is_read_again_each_time_for_nothing_tells_that_it_changed(odd: Odd) -> None:
    odd.saved(file=Thing(b"before", size=0))
    assert odd.saved(file=Thing(b"after", size=0))[b"file"].content == digest(b"after")


@pytest.mark.parametrize("failure", [errno.EIO, errno.EACCES, errno.EPERM, errno.ESTALE])
def test_attributes_that_cannot_be_listed_cost_nothing_but_themselves(odd: Odd, failure: int) -> None:
    tree = odd.saved(
        directory=Thing(children={b"file": Thing(b"inside")}, listing_fails=failure, mode=0o700, uid=1234),
        link=Thing(target=b"nowhere", listing_fails=failure),
        file=Thing(b"content", listing_fails=failure, mode=0o604, uid=4321),
    )
    assert (tree[b"directory"].kind, tree[b"directory"].mode, tree[b"directory"].uid) == ("d", 0o711, 1234)
    assert (tree[b"link"].kind, tree[b"link"].target) == ("l", b"nowhere")
    assert (tree[b"file"].content, tree[b"file"].mode, tree[b"file"].uid) == (digest(b"content"), 0o604, 4321)
    assert tree[b"directory/file"].content == digest(b"inside")
    told = [text for text in odd.warnings if "its extended attributes were not saved" in text]
    assert len(told) == 3


def test_one_attribute_that_cannot_be_read_is_named_and_the_others_are_saved(odd: Odd) -> None:
    attributes: dict[bytes, bytes | int] = {b"user.good": b"1", b"user.bad": errno.EIO, b"user.last": b"2"}
    tree = odd.saved(
        file=Thing(b"content", attributes=attributes),
        link=Thing(target=b"file", attributes={b"trusted.bad": errno.EIO}),
        directory=Thing(children={}, attributes=attributes),
    )
    kept = ((b"user.good", b"1"), (b"user.last", b"2"))
    assert {name: thing.xattrs for name, thing in tree.items() if name} == {
        b"file": kept,
        b"link": (),
        b"directory": kept,
    }
    assert sorted(text.partition("/tree/")[2] for text in odd.warnings) == [
        "directory': extended attributes were not saved: user.bad (Input/output error)",
        "file': extended attributes were not saved: user.bad (Input/output error)",
        "link': extended attributes were not saved: trusted.bad (Input/output error)",
    ]


def test_attributes_that_vanish_or_that_a_file_system_does_not_have_are_no_news(odd: Odd) -> None:
    odd.saved(
        vanished=Thing(b"1", attributes={b"user.gone": errno.ENODATA}),
        none=Thing(b"2", listing_fails=errno.ENOTSUP),
    )
    assert odd.warnings == ()
