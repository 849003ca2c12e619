# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What bad input gets from a backup or restore: the documented code, words that help, nothing written."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from backing_host import Host
from memory_storage import MemoryStorage
from seen_trees import tree_on_disk

from papi_backup.engine.backup import run_backup
from papi_backup.engine.storage.directory import DirectoryStorage
from papi_backup.model.errors import (
    DecryptionKeyError,
    DecryptionKeyMissingError,
    InvalidParameterError,
    NoSuchEntityError,
    PapiError,
)


@pytest.fixture(scope="module", autouse=True)
def everything_is_imported(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Nobody might not be allowed to read the modules that are imported late."""
    base = tmp_path_factory.mktemp("imports")
    (base / "tree").mkdir()
    (base / "storage").mkdir()
    host = Host(base, lambda: DirectoryStorage(base / "storage"), "key", helpers=1)
    host.back_up("full")
    host.saved()


@pytest.fixture
def base() -> Iterator[Path]:
    """A directory that every user may enter."""
    place = Path(os.path.realpath(tempfile.mkdtemp()))
    place.chmod(0o755)
    (place / "tree").mkdir()
    yield place
    shutil.rmtree(place)


@pytest.fixture
def host(base: Path) -> Host:
    """An encrypted host with a file, not backed up yet."""
    (base / "tree/file").write_text("content")
    return Host(base, MemoryStorage(), "the key")


def test_paths_that_do_not_exist_fail_the_backup_and_are_all_named(host: Host) -> None:
    host.paths = (str(host.tree), str(host.base / "missing"), "/also/missing")
    with pytest.raises(InvalidParameterError) as refused:
        host.back_up("full")
    assert str(host.base / "missing") in refused.value.message
    assert "/also/missing" in refused.value.message
    assert str(host.tree) not in refused.value.message
    assert host.object_names() == set()


@pytest.mark.parametrize(("paths", "words"), [(("etc",), "not absolute"), ((".",), "not absolute")])
def test_a_relative_path_fails_the_backup(host: Host, paths: tuple[str, ...], words: str) -> None:
    host.paths = paths
    with pytest.raises(InvalidParameterError, match=words):
        host.back_up("full")


def test_an_exclude_that_cannot_be_meant_fails_the_backup(host: Host) -> None:
    host.excludes = ("[z-a]",)
    with pytest.raises(InvalidParameterError, match="runs backwards"):
        host.back_up("full")


@pytest.mark.parametrize("name", ["", "x" * 201, "localhost", "LOCALHOST"])
def test_a_host_name_that_names_no_host_fails_the_backup(host: Host, name: str) -> None:
    host.name = name
    with pytest.raises(InvalidParameterError):
        run_backup(host.order("full"), host.opener, host.report, lambda: host.clock)
    assert host.object_names() == set()


def as_nobody(act: Callable[[], None]) -> None:
    """Run as a user who may read next to nothing, where this process can become one."""
    was = os.geteuid()
    if was == 0:
        os.seteuid(65534)
    try:
        act()
    finally:
        os.seteuid(was)


@pytest.mark.parametrize("helpers", [0, 2])
def test_unreadable_files_and_directories_are_counted_and_named_and_the_rest_is_saved(
    host: Host, helpers: int
) -> None:
    (host.base / "storage").mkdir()
    (host.base / "storage").chmod(0o777)
    host.helpers, host.opener = helpers, lambda: DirectoryStorage(host.base / "storage")
    for name in ("closed", "secret\n\udcff"):
        (host.tree / name).write_text("x")
        (host.tree / name).chmod(0)
    (host.tree / "locked").mkdir()
    (host.tree / "locked/inside").write_text("x")
    (host.tree / "locked").chmod(0o711 if os.geteuid() == 0 else 0)
    results = []
    as_nobody(lambda: results.append(host.back_up("full")))
    saved: list[set[bytes]] = []
    as_nobody(lambda: saved.append(set(host.saved())))
    [result] = results
    assert saved == [{b"", b"file", b"locked"}]
    assert len(result.warnings) == 3
    assert " 3 warnings: " in result.description
    for part in ("/tree/closed': Permission denied", "/tree/locked': Permission denied", "secret\\n\\udcff"):
        assert part in result.description
    assert result.files == 1


def test_a_directory_that_may_be_listed_but_not_entered_costs_its_files_one_by_one(host: Host) -> None:
    (host.tree / "listed").mkdir()
    for name in "ab":
        (host.tree / "listed" / name).touch()
    (host.tree / "listed").chmod(0o744 if os.geteuid() == 0 else 0o644)
    results = []
    as_nobody(lambda: results.append(host.back_up("full")))
    (host.tree / "listed").chmod(0o755)
    assert sorted(warning.rpartition("tree/")[2] for warning in results[0].warnings) == [
        "listed/a': Permission denied",
        "listed/b': Permission denied",
    ]


def test_many_unreadable_files_are_counted_though_only_the_first_are_named(host: Host) -> None:
    for number in range(300):
        (host.tree / f"closed{number}").touch(0)
    results = []
    as_nobody(lambda: results.append(host.back_up("full")))
    [result] = results
    assert " 300 warnings: " in result.description
    assert "and 290 more" in result.description
    assert len(result.description) < 4000


def refused(host: Host, kind: type[PapiError], **restore: object) -> PapiError:
    """Restore as told and return the refusal, having checked that nothing was written."""
    target = host.base / "target"
    date = restore.pop("date", host.clock)
    with pytest.raises(kind) as error:
        host.restore(target, date, **restore)
    assert not target.exists()
    return error.value


def test_a_wrong_key_is_refused_before_anything_is_written(host: Host) -> None:
    host.back_up("full")
    error = refused(host, DecryptionKeyError, key="another key")
    assert (error.code, "catalog/" in error.message) == (4002, True)
    assert "another key" not in error.message


@pytest.mark.parametrize("key", ["the key ", "The key", "thé key", "x", "k" * 100_000])
def test_a_key_that_is_nearly_right_is_wrong(host: Host, key: str) -> None:
    host.back_up("full")
    refused(host, DecryptionKeyError, key=key)


def test_no_key_for_an_encrypted_backup_is_refused_and_no_other_is_tried(host: Host) -> None:
    host.back_up("full")
    assert host.chain_keys
    assert refused(host, DecryptionKeyMissingError, key="").code == 4003


def test_a_key_for_a_raw_backup_is_refused(host: Host) -> None:
    host.key = ""
    host.back_up("full")
    error = refused(host, DecryptionKeyError, key="the key")
    assert error.code == 4002
    assert "not encrypted" in error.message


def test_a_date_before_the_oldest_backup_is_refused_and_the_oldest_named(host: Host) -> None:
    host.back_up("full")
    first = host.clock
    host.back_up("inc")
    error = refused(host, NoSuchEntityError, date=first - timedelta(seconds=1))
    assert error.code == 3007
    assert f"{first:%Y-%m-%d %H:%M:%S}" in error.message


def test_a_name_without_backups_is_refused(host: Host) -> None:
    assert refused(host, NoSuchEntityError).code == 3007


@pytest.mark.parametrize("key", ["the key", "ключ \U0001f511", "\udcff\udcfe", "k" * 100_000, " "])
def test_any_text_can_be_a_key(host: Host, key: str) -> None:
    """The key is the UTF-8 bytes as received; undecodable ones are kept."""
    host.key = key
    host.back_up("full")
    host.back_up("inc")
    host.restore(host.base / "target", host.clock)
    assert host.restored(host.base / "target") == tree_on_disk(host.tree)


def test_no_description_and_no_repr_shows_a_key(host: Host) -> None:
    host.key = "a very secret key"
    result = host.back_up("full")
    restored = host.restore(host.base / "target", host.clock)
    told = f"{result} {result.description} {host.order()!r} {restored} {result.chain_key!r}"
    assert host.key not in told
    assert result.chain_key is not None
    assert result.chain_key.reveal() not in told
