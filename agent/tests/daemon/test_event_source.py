# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The event source of the collection against a real agent over TLS."""

from __future__ import annotations

import asyncio
import copy
import json
import logging
import runpy
import stat
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from agent_process import AgentProcess
from realparts.pytest_fixtures import SshServer
from watched_agent import KEY, PASSWORD, WatchedAgent

from papi_backup.model.storage import StorageAccess

REPOSITORY = Path(__file__).parents[3]
SOURCE_FILE = REPOSITORY / "extensions/eda/plugins/event_source/backup_events.py"
# As ansible-rulebook loads it.
SOURCE = runpy.run_path(str(SOURCE_FILE))
SECONDS = 20.0
Event = dict[str, Any]
ELSEWHERE = {"agents": [{"url": "https://web1.example:8480"}], "key": "eda", "api_token": "a-token"}


@pytest.fixture
def watched(daemon: AgentProcess, ssh_access: StorageAccess, tmp_path: Path) -> WatchedAgent:
    agent = WatchedAgent(daemon, ssh_access, tmp_path)
    agent.start()
    return agent


@pytest.fixture(scope="module")
def one_look(sshd_server: SshServer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a real agent without jobs answers, for tests of what the watcher makes of it as time goes by."""
    directory = tmp_path_factory.mktemp("agent")
    (directory / "storage").mkdir()
    daemon = AgentProcess(directory)
    try:
        agent = WatchedAgent(daemon, sshd_server.access(directory / "storage"), directory)
        agent.start()
        return looked_at(agent)
    finally:
        daemon.close()


@pytest.fixture
def look(one_look: dict[str, Any]) -> dict[str, Any]:
    return copy.deepcopy(one_look)


def events_of(
    arguments: dict[str, Any],
    enough: Callable[[list[Event]], bool],
    logged: Callable[[], bool] = lambda: True,
) -> list[Event]:
    """Run the source until it has emitted and ``logged`` enough and, in four more looks, nothing else."""

    async def run() -> list[Event]:
        queue: asyncio.Queue[Event] = asyncio.Queue()
        source = asyncio.create_task(SOURCE["main"](queue, arguments))
        found: list[Event] = []
        try:
            async with asyncio.timeout(SECONDS):
                while not enough(found):
                    found.append(await queue.get())
                while not logged():
                    await asyncio.sleep(0.05)
            await asyncio.sleep(0.5)
        finally:
            source.cancel()
            await asyncio.gather(source, return_exceptions=True)
        while not queue.empty():
            found.append(queue.get_nowait())
        return found

    return asyncio.run(run())


def looked_at(watched: WatchedAgent) -> dict[str, Any]:
    """Return what a look at the agent answers."""

    async def run() -> dict[str, Any]:
        settings = SOURCE["settings_from"](watched.arguments(), datetime.now(UTC))
        connection = SOURCE["Connection"](settings.agents[0], settings.timeout)
        try:
            found: dict[str, Any] = await connection.look()
        finally:
            await connection.close()
        return found

    return asyncio.run(run())


def told(events: list[Event]) -> list[tuple[str, str]]:
    return [(event["type"], event["backup_name"]) for event in events]


def watch_of(**changes: Any) -> Any:
    """A watch with a memory of its own, and the settings that are the defaults but for the changes."""
    settings = SOURCE["settings_from"](ELSEWHERE, datetime.now(UTC))
    return SOURCE["Watch"](settings.agents[0], replace(settings, **changes), {})


def job(number: int, status: str = "success", queued: datetime | None = None, **more: Any) -> Event:
    date = (queued or datetime.now(UTC)).strftime("%Y-%m-%d %H:%M:%S")
    end = date if status in ("success", "failed") else ""
    given = {"job_type": "backup", "backup_name": "good", "backup_type": "inc", "description": ""}
    return given | {"job_id": number, "job_status": status, "start_date": date, "end_date": end} | more


def test_jobs_that_end_are_told_once_also_after_a_restart_and_nothing_of_it_holds_a_secret(
    watched: WatchedAgent, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    state = tmp_path / "state.json"
    arguments = watched.arguments(since="2020-01-01", state_file=str(state))
    good, bad = watched.run("good"), watched.run("bad")

    first = events_of(arguments, lambda found: len(found) == 2)

    assert told(first) == [("succeeded", "good"), ("failed", "bad")]
    assert [event["job"]["job_id"] for event in first] == [good, bad]
    assert first[0]["agent"]["name"] == "web1"
    assert first[0]["agent"]["host_name"] == "host.example"
    assert first[0]["job"]["files"] > 0
    assert first[1]["job"]["error_code"] == 3005
    assert "missing" in first[1]["job"]["description"]

    # While the source does not run, one more ends.
    again = watched.run("bad")
    second = events_of(arguments, bool)

    assert [event["job"]["job_id"] for event in second] == [again]
    assert stat.S_IMODE(state.stat().st_mode) == 0o600
    everything = json.dumps(first + second) + caplog.text + state.read_text()
    for secret in (watched.token, KEY, PASSWORD):
        assert secret not in everything


def test_without_a_state_only_what_ends_from_now_on_is_told(watched: WatchedAgent) -> None:
    watched.run("good")
    before = looked_at(watched)
    watch = watch_of(since=datetime.now(UTC) + timedelta(hours=1))
    assert watch.answered(before, datetime.now(UTC)) == []
    watched.run("bad")
    assert told(watch.answered(looked_at(watched), datetime.now(UTC))) == [("failed", "bad")]


def test_a_name_and_a_password_do_as_well_and_a_session_that_ended_is_renewed(watched: WatchedAgent) -> None:
    arguments = watched.arguments() | {
        "key": None,
        "api_token": None,
        "username": "anna",
        "password": PASSWORD,
    }

    async def run() -> list[str]:
        settings = SOURCE["settings_from"](arguments, datetime.now(UTC))
        connection = SOURCE["Connection"](settings.agents[0], settings.timeout)
        try:
            names = [(await connection.look())["version"]["host_name"]]
            watched.command("account", "set-password", "anna", "--password-file", "-", typed=PASSWORD)
            return [*names, (await connection.look())["version"]["host_name"]]
        finally:
            await connection.close()

    assert asyncio.run(run()) == ["host.example", "host.example"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"api_token": "not-the-token"}, "3004"),
        ({"ca_path": None}, "CERTIFICATE_VERIFY_FAILED"),
    ],
)
def test_an_agent_that_refuses_or_is_not_trusted_is_logged_once_and_watched_on(
    watched: WatchedAgent, caplog: pytest.LogCaptureFixture, change: dict[str, Any], words: str
) -> None:
    arguments = watched.arguments(since="2020-01-01") | change
    arguments["agents"] = [{"url": watched.url, "name": "web1"}]
    if "ca_path" not in change:
        arguments["ca_path"] = str(watched.ca_path)
    watched.run("good")

    def lines() -> list[str]:
        ours = (record for record in caplog.records if record.name == "papi.backup.backup_events")
        return [record.getMessage() for record in ours]

    assert events_of(arguments, lambda found: not found, lambda: bool(lines())) == []
    assert len(lines()) == 1
    assert words in lines()[0]
    assert arguments["api_token"] not in lines()[0]


def test_a_run_that_nothing_was_queued_for_is_missed_once(look: dict[str, Any]) -> None:
    found, now = look, datetime.now(UTC)
    watch = watch_of(events=frozenset(["missed"]))
    assert watch.answered(found, now) == []
    due = datetime.fromisoformat(found["plans"]["good"]["inc"]["next_runs"][0]).replace(tzinfo=UTC)

    # Not yet late; the agent announces the runs after it, as it does once one has come due.
    later = json.loads(json.dumps(found))
    for plan in later["plans"].values():
        plan["inc"]["next_runs"] = plan["inc"]["next_runs"][1:]
    assert watch.answered(later, due + timedelta(minutes=14)) == []

    later["jobs"] = [job(1, queued=due + timedelta(seconds=9))]
    missed = watch.answered(later, due + timedelta(minutes=15))
    assert told(missed) == [("missed", "bad")]
    assert (missed[0]["backup_type"], missed[0]["due"]) == ("inc", due.isoformat())
    assert watch.answered(later, due + timedelta(minutes=20)) == []


@pytest.mark.parametrize(
    ("the_job", "is_missed"),
    [
        ({"backup_type": "inc", "minutes": 1}, False),
        ({"backup_type": "full", "minutes": 1}, False),
        ({"backup_type": "inc", "minutes": 16}, True),
        ({"backup_type": "inc", "minutes": -30}, True),
        ({"backup_type": "inc", "minutes": -30, "status": "running"}, False),
        ({"backup_type": "inc", "minutes": 1, "backup_name": "bad"}, True),
        ({"backup_type": "inc", "minutes": 1, "job_type": "restore"}, True),
        ({"backup_type": "inc", "minutes": 1, "status": "failed"}, False),
    ],
    ids=lambda case: "" if isinstance(case, bool) else " ".join(map(str, case.values())),
)
def test_what_counts_as_the_job_of_a_run(
    look: dict[str, Any], the_job: dict[str, Any], is_missed: bool
) -> None:
    found, now = look, datetime.now(UTC)
    watch = watch_of(events=frozenset(["missed"]), backups=frozenset(["good"]))
    watch.answered(found, now)
    due = datetime.fromisoformat(found["plans"]["good"]["inc"]["next_runs"][0]).replace(tzinfo=UTC)
    fields = dict(the_job)
    queued = due + timedelta(minutes=fields.pop("minutes"))
    found["jobs"] = [job(1, queued=queued, **fields)]
    assert bool(watch.answered(found, due + timedelta(minutes=20))) is is_missed


def test_a_schedule_that_was_changed_owes_nothing_of_the_old_one(look: dict[str, Any]) -> None:
    found, now = look, datetime.now(UTC)
    watch = watch_of(events=frozenset(["missed"]))
    watch.answered(found, now)
    for plan in found["plans"].values():
        plan["inc"] |= {"time_run": "4", "next_runs": ["2100-01-01 04:00:00"]}
    assert watch.answered(found, now + timedelta(days=2)) == []


def test_a_backup_is_stale_again_and_again_until_it_succeeds_also_while_its_agent_is_silent(
    look: dict[str, Any],
) -> None:
    found, now = look, datetime.now(UTC)
    found["jobs"] = [job(1)]
    watch = watch_of(events=frozenset(["stale"]), backups=frozenset(["good"]))
    assert watch.answered(found, now + timedelta(hours=47)) == []
    stale = watch.silent(now + timedelta(hours=49))
    assert told(stale) == [("stale", "good")]
    assert stale[0]["agent"]["reachable"] is False
    assert stale[0]["hours"] == pytest.approx(49, abs=0.2)
    assert stale[0]["last_success"]
    assert watch.silent(now + timedelta(hours=60)) == []
    assert watch.answered(found, now + timedelta(hours=74))[0]["agent"]["reachable"] is True
    found["jobs"].append(job(99, queued=now + timedelta(hours=75)))
    assert watch.answered(found, now + timedelta(hours=76)) == []
    assert told(watch.answered(found, now + timedelta(hours=124))) == [("stale", "good")]


def test_a_backup_that_never_succeeded_or_has_no_schedule(look: dict[str, Any]) -> None:
    found, now = look, datetime.now(UTC)
    found["jobs"] = [job(1, "failed", backup_name="bad")]
    watch = watch_of(events=frozenset(["stale"]))
    watch.answered(found, now)
    found["plans"]["good"]["inc"] |= {"period": "deactivated", "next_runs": []}
    stale = watch.answered(found, now + timedelta(hours=50))
    assert told(stale) == [("stale", "bad")]
    assert stale[0]["last_success"] == ""


def test_jobs_may_end_in_another_order_than_they_were_queued_in(look: dict[str, Any]) -> None:
    found, now = look, datetime.now(UTC)
    watch = watch_of(stale_after=timedelta(), since=now - timedelta(hours=1))
    found["jobs"] = [job(1, "running"), job(2), job(3, "waiting")]
    assert [event["job"]["job_id"] for event in watch.answered(found, now)] == [2]
    found["jobs"] = [job(1), job(2), job(3, "running"), job(4, "failed")]
    assert [event["job"]["job_id"] for event in watch.answered(found, now)] == [1, 4]
    found["jobs"] = [job(3), job(4, "failed")]
    assert [event["job"]["job_id"] for event in watch.answered(found, now)] == [3]
    assert watch.answered(found, now) == []


def test_an_agent_that_was_installed_anew_or_put_back_counts_from_a_lower_number(
    look: dict[str, Any],
) -> None:
    found, now = look, datetime.now(UTC)
    watch = watch_of(stale_after=timedelta(), since=now - timedelta(hours=1))
    found["jobs"] = [job(number) for number in range(1, 9)]
    assert len(watch.answered(found, now)) == 8
    found["jobs"] = [job(1), job(2)]
    assert watch.answered(found, now) == []
    found["jobs"] = [job(1), job(2), job(3)]
    assert [event["job"]["job_id"] for event in watch.answered(found, now)] == [3]
    found["version"] = found["version"] | {"instance_id": "another"}
    assert [event["event_id"] for event in watch.answered(found, now)] == [
        f"another/job/{number}" for number in (1, 2, 3)
    ]


def test_restores_are_told_where_they_are_asked_for(look: dict[str, Any]) -> None:
    found, now = look, datetime.now(UTC)
    found["jobs"] = [job(1, job_type="restore"), job(2)]
    changes = {"stale_after": timedelta(), "since": now - timedelta(hours=1)}
    assert len(watch_of(**changes).answered(found, now)) == 1
    both = frozenset(["backup", "restore"])
    assert len(watch_of(**changes, job_types=both).answered(found, now)) == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"agents": []}, "at least one agent"),
        ({"agents": ["https://web1:8480"]}, r"agents\[0\] must be a dictionary"),
        ({"agents": [{"url": "https://anna:hunter2@web1:8480"}]}, "must not hold credentials"),
        ({"agents": [{"url": "web1:8480"}]}, "must be https"),
        ({"agents": [{"url": "http://web1:8480"}]}, "in the clear"),
        ({"agents": [{"url": "https://web1:8480", "ca": "x"}]}, r"unknown argument: agents\[0\]\.ca"),
        ({"agents": [{"url": "https://a:1", "name": "x"}, {"url": "https://b:1", "name": "x"}]}, "same name"),
        ({"api_token": None}, "needs key and api_token"),
        ({"password": "hunter2"}, "needs key and api_token"),
        ({"ca_path": "/no/such/file"}, "ca_path /no/such/file cannot be read"),
        ({"validate_certs": "no"}, "validate_certs must be true or false"),
        ({"events": ["broken"]}, "events must be of failed, missed"),
        ({"events": "failed"}, "events must be a list"),
        ({"since": "yesterday"}, "since must be"),
        ({"interval": 0}, "interval must be a number"),
        ({"stale_after_hours": "long"}, "stale_after_hours must be a number"),
        ({"delay": 5}, "unknown argument: delay"),
    ],
    ids=lambda case: case if isinstance(case, str) else "",
)
def test_a_wrong_argument_is_refused_with_the_reason_and_no_secret(
    change: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words) as refusal:
        SOURCE["settings_from"](ELSEWHERE | change, datetime.now(UTC))
    for secret in ("a-token", "hunter2"):
        assert secret not in str(refusal.value)


@pytest.mark.parametrize("content", ["", "[]", '{"version": 1}'])
def test_a_state_file_that_is_none_is_refused_by_name(tmp_path: Path, content: str) -> None:
    path = tmp_path / "state.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"state_file .* is no state of this source"):
        SOURCE["Memory"](str(path))


def test_a_secret_that_an_agent_repeats_is_masked() -> None:
    found = watch_of()
    found._memory.update(host_name="h", instance_id="i")
    event = found._job_event(job(1, "failed", description="refused: a-token"))
    assert event["job"]["description"] == "refused: ********"
    assert "a-token" not in repr(found._settings)


def test_the_documentation_names_the_arguments_that_are_taken_and_their_defaults() -> None:
    options = yaml.safe_load(SOURCE["DOCUMENTATION"])["options"]
    assert set(options) == set(SOURCE["_ARGUMENTS"]) - {"eda_feedback_queue"}
    assert set(options["agents"]["suboptions"]) == {"url", "name", *SOURCE["_SHARED"]}
    settings = SOURCE["settings_from"](ELSEWHERE, datetime.now(UTC))
    given = {name: option["default"] for name, option in options.items() if "default" in option}
    documented = SOURCE["settings_from"](
        ELSEWHERE | given | {"since": settings.since.isoformat()}, datetime.now(UTC)
    )
    assert replace(documented, agents=()) == replace(settings, agents=())
