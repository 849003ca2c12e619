# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which backup a restore takes, with which key, and what it says of it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from restoring import RestoringHost, flip

from papi_backup.model.errors import (
    CorruptedBackupError,
    DecryptionKeyError,
    DecryptionKeyMissingError,
    InvalidParameterError,
    NoSuchEntityError,
    PapiError,
)


def with_history(host: RestoringHost, backups: int = 3) -> list:
    """Back a changing file up; return the dates."""
    dates = []
    for number in range(backups):
        (host.tree / "file").write_text(str(number))
        dates.append(host.back_up("inc" if number else "full"))
    return dates


def test_the_newest_at_or_before_the_date_is_taken(host: RestoringHost, tmp_path: Path) -> None:
    dates = with_history(host)
    for number, date in enumerate(dates):
        for later in (timedelta(0), timedelta(minutes=59)):
            out = tmp_path / f"{number}-{later.seconds}"
            result = host.restore(host.order(out, date=date + later))
            assert (host.restored(out) / "file").read_text() == str(number)
            assert result.backup_date == date


def test_a_date_before_the_oldest_is_refused_and_the_oldest_named(host: RestoringHost, out: Path) -> None:
    oldest = with_history(host)[0]
    with pytest.raises(NoSuchEntityError, match=f"{oldest:%Y-%m-%d %H:%M:%S}") as caught:
        host.restore(host.order(out, date=oldest - timedelta(seconds=1)))
    assert caught.value.code == 3007
    assert not out.exists()


@pytest.mark.parametrize(
    ("keys", "error"),
    [
        (("right", "wrong"), DecryptionKeyError),
        (("right", ""), DecryptionKeyMissingError),
        (("", "some"), DecryptionKeyError),
    ],
)
@pytest.mark.parametrize("helpers", [1, 2])
def test_another_key_is_refused_before_anything_is_written(
    tmp_path: Path, out: Path, keys: tuple[str, str], error: type[PapiError], helpers: int
) -> None:
    saved_with, given = keys
    host = RestoringHost.below(tmp_path, key=saved_with)
    host.helpers = helpers
    with_history(host, 1)
    with pytest.raises(error):
        host.restore(host.order(out, key=given))
    assert not out.exists()


def test_the_description_names_backup_host_instance_sequence_and_place(
    host: RestoringHost, out: Path
) -> None:
    date = with_history(host)[-1]
    text = host.restore(host.order(out)).description
    assert text.startswith(
        f"Restored 1 file (1 bytes) of the incremental backup of {date:%Y-%m-%d %H:%M:%S} UTC of host "
        f"host.example (instance 0123456789abcdef, sequence 2) to {out}."
    )


def test_backups_missing_from_the_chain_are_counted(host: RestoringHost, out: Path) -> None:
    with_history(host)
    second = sorted((host.base / "store" / "catalog").rglob("*.v1"))[1]
    second.unlink()
    text = host.restore(host.order(out)).description
    assert "1 earlier backups of its chain are not on the storage any more" in text


def test_a_newer_backup_that_cannot_be_read_is_named_when_an_older_is_taken(
    host: RestoringHost, out: Path
) -> None:
    oldest, older, newest = with_history(host)
    manifest = sorted((host.base / "store" / "catalog").rglob("*.v1"))[2]
    unreadable = manifest.rename(manifest.with_suffix(".v2"))
    planned = host.plan(host.order(out)).warnings
    result = host.restore(host.order(out))
    assert result.backup_date == older
    assert result.warnings == planned
    for text in (*result.warnings, result.description):
        assert f"{host.name_of(unreadable)} of {newest:%Y-%m-%d %H:%M:%S} UTC" in text
    assert host.restore(host.order(out, date=older)).warnings == ()
    assert host.restore(host.order(out, date=oldest)).warnings == ()


def test_what_is_of_the_agent_itself_is_not_restored_in_its_place(host: RestoringHost, out: Path) -> None:
    own = {"state/db", "etc/agent.toml", "linked", "etc.d/key"}
    others = {"file", "state of something else", "etc/agent.toml.old"}
    for name in own | others:
        (host.tree / name).parent.mkdir(exist_ok=True)
        if name != "linked":
            (host.tree / name).write_bytes(b"old")
    (host.tree / "linked").symlink_to("etc.d")
    host.back_up()
    for name in (own | others) - {"linked"}:
        (host.tree / name).write_bytes(b"new")
    (host.tree / "linked").unlink()
    (host.tree / "linked").symlink_to("./etc.d")
    paths = tuple(f"{host.tree}/{name}" for name in ("state", "etc/agent.toml", "linked"))
    result = host.restore(host.order("", overwrite="always", own_paths=paths))
    assert {name for name in own | others if (host.tree / name).is_file()} == (own | others) - {"linked"}
    assert {name for name in own - {"linked"} if (host.tree / name).read_bytes() != b"new"} == set()
    assert (host.tree / "linked").readlink() == Path("./etc.d")
    assert {name for name in others if (host.tree / name).read_bytes() != b"old"} == set()
    assert "belongs to the agent itself and is not restored" in result.description
    plan = host.plan(host.order("", overwrite="always", own_paths=paths))
    assert any("belongs to the agent itself and is not restored" in warning for warning in plan.warnings)
    host.restore(host.order(out, own_paths=paths))
    assert {name for name in others | own if not (host.restored(out) / name).exists()} == set()
    assert (host.restored(out) / "state" / "db").read_bytes() == b"old"


@pytest.mark.parametrize("inside", ["", "restored"])
def test_what_is_of_the_agent_itself_is_no_target(host: RestoringHost, inside: str) -> None:
    with_history(host, 1)
    with pytest.raises(InvalidParameterError, match=r"/state, which belongs to the agent itself"):
        host.restore(host.order(host.base / "state" / inside))
    assert list((host.base / "state").iterdir()) == []


def test_another_hosts_files_in_this_hosts_places_are_a_warning(host: RestoringHost, out: Path) -> None:
    with_history(host, 1)
    assert "another host" in host.restore(host.order("", host_name="elsewhere.example")).description
    assert "another host" not in host.restore(host.order("")).description
    assert "another host" not in host.restore(host.order(out, host_name="elsewhere.example")).description


def test_in_the_original_places_files_come_back_where_they_were(host: RestoringHost) -> None:
    with_history(host)
    before = host.seen()
    (host.tree / "file").unlink()
    (host.tree / "new").write_bytes(b"mine")
    host.restore(host.order(""))
    assert (host.tree / "new").read_bytes() == b"mine"
    (host.tree / "new").unlink()
    after = host.seen()
    assert after[b"file"] == before[b"file"]


@pytest.mark.parametrize(
    ("target", "message"),
    [("relative", "absolute"), ("{base}/missing/deep", "does not exist"), ("{base}/file", "not a directory")],
)
def test_an_impossible_target_is_refused(host: RestoringHost, target: str, message: str) -> None:
    with_history(host, 1)
    (host.base / "file").write_bytes(b"")
    with pytest.raises(InvalidParameterError, match=message) as caught:
        host.restore(host.order(target.format(base=host.base)))
    assert caught.value.parameter == "target_dir"


def test_a_plan_tells_what_a_restore_would_do_and_writes_nothing(host: RestoringHost, out: Path) -> None:
    for name in ("same", "changed", "missing"):
        (host.tree / name).write_bytes(name.encode())
    host.back_up()
    host.restore(host.order(out))
    (host.restored(out) / "changed").write_bytes(b"CHANGED")
    (host.restored(out) / "missing").unlink()
    before = host.seen(out)
    plan = host.plan(host.order(out))
    assert host.seen(out) == before
    assert (plan.files, plan.creates, plan.overwrites, plan.keeps) == (3, 1, 1, 1)
    assert plan.bytes == len("samechangedmissing")
    assert plan.overwritten == (str(host.restored(out) / "changed"),)
    assert (plan.sequence, plan.backup_type, plan.warnings) == (0, "full", ())


def test_a_plan_for_a_place_that_does_not_exist_creates_everything(host: RestoringHost, out: Path) -> None:
    (host.tree / "directory").mkdir()
    (host.tree / "directory" / "file").write_bytes(b"")
    host.back_up()
    plan = host.plan(host.order(out))
    assert (plan.creates, plan.overwrites, plan.keeps) == (3, 0, 0)
    assert not out.exists()


def test_a_plan_shows_damage_that_a_listing_tells(host: RestoringHost, out: Path) -> None:
    with_history(host, 1)
    volume = host.volumes("d")[0]
    volume.unlink()
    assert host.plan(host.order(out)).warnings == (f"{host.name_of(volume)} is missing",)


def test_a_damaged_manifest_is_named(host: RestoringHost, out: Path) -> None:
    with_history(host, 1)
    manifest = next((host.base / "store" / "catalog").rglob("*.v1"))
    flip(manifest, -40)
    with pytest.raises(CorruptedBackupError, match=manifest.name):
        host.restore(host.order(out))
    assert not out.exists()


def test_a_plan_refuses_what_the_restore_would_refuse_before_writing(host: RestoringHost, out: Path) -> None:
    (host.tree / "there").write_bytes(b"x")
    host.back_up()
    host.restore(host.order(out))
    order = host.order(out, overwrite="fail")
    with pytest.raises(InvalidParameterError) as restored:
        host.restore(order)
    with pytest.raises(InvalidParameterError) as planned:
        host.plan(order)
    assert planned.value.message == restored.value.message
    assert planned.value.parameter == "overwrite"
