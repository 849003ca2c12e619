# SPDX-FileCopyrightText: papi.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Event source of Event-Driven Ansible: what became of the backups of one or many agents.

One file, because ansible-rulebook loads it by its path; the standard library and aiohttp are all it imports.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
import os
import ssl
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import aiohttp

DOCUMENTATION = r"""
---
short_description: Watch the backups of papi.backup agents
description:
  - Asks one or many papi.backup agents over TLS what their jobs and schedules do, and emits an event for each
    backup that failed, was missed, became stale or succeeded.
  - The role viewer is enough, and should be all that it has. Secrets are in no event, log or state file.
  - An event is emitted once, also after a restart, if O(state_file) is set. One that was handed over just
    before a crash may come again; its C(event_id) is the same then.
  - Clocks of agents and of this host must agree to within a minute.
version_added: "1.0.0"
author:
  - papi.backup contributors (@papi-backup)
options:
  agents:
    description: The agents to watch.
    type: list
    elements: dict
    required: true
    suboptions:
      url:
        description:
          - Where the agent listens, as V(https://web1.example.com:8480). V(http) is taken on loopback only.
        type: str
        required: true
      name:
        description: What events call the agent; O(agents[].url) unless given. Unique.
        type: str
      key:
        description: As O(key), for this agent.
        type: str
      api_token:
        description: As O(api_token), for this agent.
        type: str
      username:
        description: As O(username), for this agent.
        type: str
      password:
        description: As O(password), for this agent.
        type: str
      ca_path:
        description: As O(ca_path), for this agent.
        type: path
      validate_certs:
        description: As O(validate_certs), for this agent.
        type: bool
  key:
    description: Name of the API token to log in with; goes with O(api_token).
    type: str
  api_token:
    description: The API token.
    type: str
  username:
    description: The account to log in with, in place of a token; goes with O(password).
    type: str
  password:
    description: The account's password.
    type: str
  ca_path:
    description:
      - A file of PEM certificates of the authorities that may sign the agents' certificates; the system's
        unless given.
    type: path
  validate_certs:
    description: Whether to check the agents' certificates.
    type: bool
    default: true
  events:
    description:
      - Which events to emit.
      - V(failed) and V(succeeded), a job ended.
      - V(missed), a scheduled run came due and nothing was queued for it in time. Of an agent that does not
        answer it is emitted when it answers again.
      - V(stale), a backup that has a schedule has not succeeded for too long. It is emitted of agents that do
        not answer as well, if they have answered before.
    type: list
    elements: str
    choices: [failed, missed, stale, succeeded]
    default: [failed, missed, stale, succeeded]
  job_types:
    description: Jobs of which types V(failed) and V(succeeded) are about.
    type: list
    elements: str
    choices: [backup, restore]
    default: [backup]
  backups:
    description: Names of the backups to watch; all unless given.
    type: list
    elements: str
  since:
    description:
      - Of an agent that has not been watched before, jobs are reported that ended at or after this date, such
        as V(2026-03-01T00:00:00+00:00); without an offset it is UTC. V(now) is the start of this source.
    type: str
    default: now
  state_file:
    description:
      - A file that remembers what has been reported. Its directory must exist. Each source has its own.
      - Without it, what ended while the source did not run is reported only as O(since) says.
    type: path
  interval:
    description: Seconds between two looks at an agent.
    type: float
    default: 60
  timeout:
    description: Seconds to wait for an answer.
    type: float
    default: 30
  missed_after_minutes:
    description: For how many minutes a job may be late before its run counts as missed.
    type: float
    default: 15
  stale_after_hours:
    description: After how many hours without a success a backup is stale; V(0) for never.
    type: float
    default: 48
  stale_repeat_hours:
    description: After how many hours a backup that is still stale is reported again; V(0) for never.
    type: float
    default: 24
"""

EXAMPLES = r"""
- papi.backup.backup_events:
    agents:
      - name: web1
        url: https://web1.example.com:8480
        ca_path: /etc/papi-backup-eda/web1.pem
      - name: db1
        url: https://db1.example.com:8480
        ca_path: /etc/papi-backup-eda/db1.pem
    key: eda
    api_token: "{{ PAPI_BACKUP_TOKEN }}"
    events: [failed, missed, stale]
    stale_after_hours: 30
    state_file: /var/lib/papi-backup-eda/state.json
"""

LOG = logging.getLogger("papi.backup.backup_events")
MASK = "********"
EVENTS = ("failed", "missed", "stale", "succeeded")
_CREDENTIALS = ("key", "api_token", "username", "password")
_SHARED = (*_CREDENTIALS, "ca_path", "validate_certs")
_JOB_FIELDS = (
    *("job_id", "job_type", "job_status", "description", "backup_name", "backup_type", "start_date"),
    *("end_date", "size_transferred", "error_code", "files", "bytes_read", "bytes_stored"),
    *("entries_changed", "warnings"),
)
_ARGUMENTS = (
    *("agents", *_SHARED, "events", "job_types", "backups", "since", "state_file", "interval", "timeout"),
    *("missed_after_minutes", "stale_after_hours", "stale_repeat_hours", "eda_feedback_queue"),
)
_LOGGED_OUT = (3001, 3002, 3003, 3004)
_EARLY = timedelta(minutes=1)
_SPREAD_SECONDS = 10.0


class AgentTroubleError(Exception):
    """An agent did not answer, or refused; the message names no secret."""

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Agent:
    """One agent and how to reach it."""

    name: str
    url: str
    credentials: dict[str, str] = field(repr=False)
    tls: ssl.SSLContext | bool = True

    def hide(self, text: str) -> str:
        """Return ``text`` without this agent's secrets, should one ever be in it."""
        for name in ("api_token", "password"):
            if self.credentials.get(name):
                text = text.replace(self.credentials[name], MASK)
        return text


@dataclass(frozen=True)
class Settings:
    """The arguments of the source, checked."""

    agents: tuple[Agent, ...]
    since: datetime
    events: frozenset[str] = frozenset(EVENTS)
    job_types: frozenset[str] = frozenset(["backup"])
    backups: frozenset[str] | None = None
    state_file: str = ""
    interval: float = 60.0
    timeout: float = 30.0
    missed_after: timedelta = timedelta(minutes=15)
    stale_after: timedelta = timedelta(hours=48)
    stale_repeat: timedelta = timedelta(hours=24)


def settings_from(args: dict[str, Any], now: datetime) -> Settings:
    """Check the arguments; raise ValueError with words that name the argument and no secret."""
    given = {name: value for name, value in args.items() if value is not None}
    _refuse_unknown(given, _ARGUMENTS, "")
    agents = given.get("agents")
    if not isinstance(agents, list) or not agents:
        raise ValueError("agents must be a list of at least one agent")
    shared = {name: given[name] for name in _SHARED if name in given}
    found = tuple(_agent_from(one, shared, f"agents[{place}]") for place, one in enumerate(agents))
    if len({agent.name for agent in found}) != len(found):
        raise ValueError("agents: two have the same name")
    return Settings(
        agents=found,
        since=_since(given.get("since", "now"), now),
        events=_choices(given.get("events", EVENTS), "events", EVENTS),
        job_types=_choices(given.get("job_types", ["backup"]), "job_types", ("backup", "restore")),
        backups=_choices(given["backups"], "backups") if "backups" in given else None,
        state_file=str(given.get("state_file", "")),
        interval=_number(given, "interval", 60.0, least=0.1),
        timeout=_number(given, "timeout", 30.0, least=0.1),
        missed_after=timedelta(minutes=_number(given, "missed_after_minutes", 15.0)),
        stale_after=timedelta(hours=_number(given, "stale_after_hours", 48.0)),
        stale_repeat=timedelta(hours=_number(given, "stale_repeat_hours", 24.0)),
    )


def _agent_from(one: Any, shared: dict[str, Any], place: str) -> Agent:
    if not isinstance(one, dict):
        raise ValueError(f"{place} must be a dictionary with a url")
    _refuse_unknown(one, ("url", "name", *_SHARED), f"{place}.")
    own = {name: value for name, value in one.items() if value is not None}
    # Credentials of an agent's own take the place of the shared ones as a whole.
    taken = {} if any(name in own for name in _CREDENTIALS) else shared
    login = {name: str(value) for name, value in {**taken, **own}.items() if name in _CREDENTIALS}
    if set(login) not in ({"key", "api_token"}, {"username", "password"}):
        raise ValueError(f"{place} needs key and api_token, or username and password")
    url = str(own.get("url", "")).rstrip("/")
    parts = urlsplit(url)
    if "@" in parts.netloc:
        raise ValueError(f"{place}.url must not hold credentials")
    if not parts.hostname or parts.scheme not in ("https", "http"):
        raise ValueError(f"{place}.url must be https://host:port")
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise ValueError(f"{place}.url must be https off loopback: credentials would travel in the clear")
    tls = _tls({**shared, **own}, place) if parts.scheme == "https" else True
    return Agent(str(own.get("name", url)), url, login, tls)


def _tls(settings: dict[str, Any], place: str) -> ssl.SSLContext:
    validate = settings.get("validate_certs", True)
    if not isinstance(validate, bool):
        raise ValueError(f"{place}: validate_certs must be true or false")
    path = settings.get("ca_path")
    try:
        context = ssl.create_default_context(cafile=str(path) if path else None)
    except OSError as error:
        raise ValueError(f"{place}: ca_path {path} cannot be read: {error}") from error
    if not validate:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _refuse_unknown(given: dict[str, Any], known: tuple[str, ...], place: str) -> None:
    unknown = sorted(str(name) for name in given if name not in known)
    if unknown:
        raise ValueError(f"unknown argument: {place}{unknown[0]}")


def _choices(value: Any, name: str, choices: tuple[str, ...] = ()) -> frozenset[str]:
    if isinstance(value, str) or not hasattr(value, "__iter__"):
        raise ValueError(f"{name} must be a list")
    found = frozenset(str(one) for one in value)
    if choices and not found <= set(choices):
        raise ValueError(f"{name} must be of {', '.join(choices)}")
    return found


def _number(given: dict[str, Any], name: str, default: float, least: float = 0.0) -> float:
    try:
        value = float(given.get(name, default))
    except (TypeError, ValueError):
        value = -1.0
    if not least <= value < 1e6:
        raise ValueError(f"{name} must be a number from {least:g} to 1000000")
    return value


def _since(text: Any, now: datetime) -> datetime:
    if text == "now":
        return now.replace(microsecond=0)
    try:
        return _instant(str(text).replace("Z", "+00:00"))
    except ValueError as error:
        raise ValueError("since must be 'now' or a date such as 2026-03-01T00:00:00+00:00") from error


def _instant(text: str) -> datetime:
    """Return the instant of a date of an agent or the state file; UTC without an offset."""
    found = datetime.fromisoformat(text)
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


class Memory:
    """What has been reported, by agent; kept in a file if one is named."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._written = ""
        self.agents: dict[str, dict[str, Any]] = {}
        if path and os.path.exists(path):
            try:
                with open(path, encoding="utf-8") as file:
                    self.agents = dict(json.load(file)["agents"])
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise ValueError(
                    f"state_file {path} is no state of this source, or cannot be read"
                ) from error
        elif path and not os.path.isdir(os.path.dirname(os.path.abspath(path))):
            raise ValueError(f"state_file {path}: its directory does not exist")

    def save(self) -> None:
        """Replace the file, if what it should say has changed."""
        text = json.dumps({"version": 1, "agents": self.agents}, indent=1, sort_keys=True)
        if not self._path or text == self._written:
            return
        new = f"{self._path}.new"
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, self._path)
        self._written = text


class Connection:
    """Asks one agent; logs in when its session is over."""

    def __init__(self, agent: Agent, timeout: float) -> None:
        self._agent = agent
        self._entered = False
        # Cookies of agents that are called by their address count too.
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=timeout),
            cookie_jar=aiohttp.CookieJar(unsafe=True),
            headers={"Accept": "application/json", "User-Agent": "papi.backup.backup_events"},
        )

    async def close(self) -> None:
        """Close what is open."""
        await self._session.close()

    async def look(self) -> dict[str, Any]:
        """Return who the agent is, its jobs and its configurations; raise AgentTroubleError."""
        version = await self._ask("version")
        configs = await self._ask("backup-config/list", timezone="UTC")
        # Jobs come last: a job that was queued before the configurations were read is among them.
        plans = {}
        for name in [config["backup_name"] for config in configs]:
            try:
                plans[name] = await self._ask("backup-config/get", backup_name=name, timezone="UTC")
            except AgentTroubleError as error:
                if error.code != 3007:  # removed meanwhile
                    raise
        return {"version": version, "plans": plans, "jobs": await self._ask("job/list", timezone="UTC")}

    async def _ask(self, path: str, **parameters: str) -> Any:
        if not self._entered:
            await self._log_in()
        try:
            return await self._call(f"/papi/backup/{path}", parameters)
        except AgentTroubleError as error:
            if error.code not in _LOGGED_OUT:
                raise
        await self._log_in()
        return await self._call(f"/papi/backup/{path}", parameters)

    async def _log_in(self) -> None:
        self._entered = False
        self._session.cookie_jar.clear()
        await self._call("/papi/login", self._agent.credentials)
        self._entered = True

    async def _call(self, path: str, parameters: dict[str, str]) -> Any:
        try:
            async with self._session.post(
                self._agent.url + path, json=parameters, ssl=self._agent.tls, allow_redirects=False
            ) as answer:
                status, body = answer.status, await answer.read()
        except TimeoutError as error:
            raise AgentTroubleError("no answer in time") from error
        except (aiohttp.ClientError, OSError) as error:
            raise AgentTroubleError(self._agent.hide(str(error) or type(error).__name__)) from error
        try:
            envelope = json.loads(body)
            if envelope["success"] == 1:
                return envelope["data"]
            code, text = int(envelope["error_code"]), str(envelope["error"])
        except (ValueError, KeyError, TypeError) as error:
            raise AgentTroubleError(f"HTTP {status}, and no answer of the Backup API") from error
        raise AgentTroubleError(self._agent.hide(f"{text} (error {code})"), code)


class Watch:
    """Turns what an agent says into events; ``memory`` is what was known of it, and is brought up to date."""

    def __init__(self, agent: Agent, settings: Settings, memory: dict[str, Any]) -> None:
        self._agent = agent
        self._settings = settings
        self._memory = memory

    def answered(self, found: dict[str, Any], now: datetime) -> list[dict[str, Any]]:
        """Return the events of an agent that has answered."""
        version, memory = found["version"], self._memory
        if memory.get("instance_id", version["instance_id"]) != version["instance_id"]:
            # Installed anew: its jobs are counted from 1 again, and all of them are news.
            memory.update(below=0, above=[])
            for known in memory.get("backups", {}).values():
                known["schedules"] = {}
        memory.update(instance_id=version["instance_id"], host_name=version["host_name"])
        jobs = [job for job in found["jobs"] if self._is_watched(job["backup_name"])]
        events = self._ended(found["jobs"])
        backups = memory.setdefault("backups", {})
        for gone in [name for name in backups if name not in found["plans"]]:
            del backups[gone]
        for name, plan in found["plans"].items():
            if self._is_watched(name):
                own = [job for job in jobs if job["backup_name"] == name and job["job_type"] == "backup"]
                new = {"seen": now.isoformat(), "success": "", "stale": "", "schedules": {}}
                known = backups.setdefault(name, new)
                events += self._missed(name, plan, own, known, now)
                self._learn_success(own, known)
        return self._wanted(events + self._stale(now, reachable=True))

    def silent(self, now: datetime) -> list[dict[str, Any]]:
        """Return the events of an agent that does not answer: what was known of it grows stale."""
        return self._wanted(self._stale(now, reachable=False))

    def _wanted(self, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [event for event in events if event["type"] in self._settings.events]

    def _is_watched(self, name: str) -> bool:
        return self._settings.backups is None or name in self._settings.backups

    def _ended(self, jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Jobs that ended since the last look.  Jobs may end in another order than they were queued in."""
        memory = self._memory
        ended = [job for job in jobs if job["job_status"] in ("success", "failed")]
        fresh = "below" not in memory
        numbers = [int(job["job_id"]) for job in jobs]
        # An older state of the agent was put back: numbers above its last one will be given again.
        below = memory.get("below", 0)
        below = min(below, max(numbers, default=below))
        told = set(memory.get("above", ()))
        news = [job for job in ended if int(job["job_id"]) > below and int(job["job_id"]) not in told]
        if fresh:
            news = [job for job in news if _instant(job["end_date"]) >= self._settings.since]
        living = [int(job["job_id"]) for job in jobs if job not in ended]
        memory["below"] = min(living) - 1 if living else max(numbers, default=below)
        memory["above"] = sorted(int(job["job_id"]) for job in ended if int(job["job_id"]) > memory["below"])
        wanted = [job for job in news if job["job_type"] in self._settings.job_types]
        return [self._job_event(job) for job in wanted if self._is_watched(job["backup_name"])]

    def _job_event(self, job: dict[str, Any]) -> dict[str, Any]:
        told = {name: job[name] for name in _JOB_FIELDS if name in job}
        told["description"] = self._agent.hide(str(job["description"]))
        for name in ("start_date", "end_date"):
            told[name] = _instant(job[name]).isoformat()
        kind = "failed" if job["job_status"] == "failed" else "succeeded"
        number = f"job/{job['job_id']}"
        return self._event(kind, job["backup_name"], number, backup_type=job["backup_type"], job=told)

    def _missed(
        self,
        name: str,
        plan: dict[str, Any],
        jobs: list[dict[str, Any]],
        known: dict[str, Any],
        now: datetime,
    ) -> list[dict[str, Any]]:
        """Runs that an earlier look announced, whose time has come and gone, and that no job is for."""
        events = []
        late = self._settings.missed_after
        for kind in ("full", "inc"):
            schedule = {key: value for key, value in plan[kind].items() if key != "next_runs"}
            before = known["schedules"].get(kind, {})
            # A schedule that was changed owes nothing of what the old one announced.
            announced = before.get("due", ()) if before.get("schedule") == schedule else ()
            due = [_instant(text) for text in announced]
            for run in due:
                if run + late <= now and not any(_serves(job, kind, run, late) for job in jobs):
                    number = f"missed/{name}/{kind}/{run.isoformat()}"
                    events.append(self._event("missed", name, number, backup_type=kind, due=run.isoformat()))
            # What the agent announces counts for the future; what has come due is looked at once more.
            waiting = [run for run in due if run <= now < run + late]
            upcoming = sorted({*waiting, *(_instant(text) for text in plan[kind]["next_runs"])})
            known["schedules"][kind] = {"schedule": schedule, "due": [run.isoformat() for run in upcoming]}
        return events

    def _learn_success(self, jobs: list[dict[str, Any]], known: dict[str, Any]) -> None:
        started = min((_instant(job["start_date"]) for job in jobs), default=_instant(known["seen"]))
        known["seen"] = min(_instant(known["seen"]), started).isoformat()
        ends = [_instant(job["end_date"]) for job in jobs if job["job_status"] == "success"]
        newest = max(ends, default=None)
        if newest is not None and (not known["success"] or newest > _instant(known["success"])):
            known.update(success=newest.isoformat(), stale="")

    def _stale(self, now: datetime, reachable: bool) -> list[dict[str, Any]]:
        after, again = self._settings.stale_after, self._settings.stale_repeat
        events = []
        for name, known in self._memory.get("backups", {}).items():
            scheduled = any(schedule["due"] for schedule in known["schedules"].values())
            age = now - _instant(known["success"] or known["seen"])
            if not after or not scheduled or age < after or not self._is_watched(name):
                continue
            if known["stale"] and (not again or now - _instant(known["stale"]) < again):
                continue
            known["stale"] = now.isoformat()
            marks = {"last_success": known["success"], "hours": round(age.total_seconds() / 3600, 1)}
            event = self._event("stale", name, f"stale/{name}/{now.isoformat()}", **marks)
            event["agent"]["reachable"] = reachable
            events.append(event)
        return events

    def _event(self, kind: str, backup_name: str, number: str, **more: Any) -> dict[str, Any]:
        memory = self._memory
        agent = {"name": self._agent.name, "url": self._agent.url, "reachable": True}
        agent.update(host_name=memory["host_name"], instance_id=memory["instance_id"])
        event_id = f"{memory['instance_id']}/{number}"
        return {"type": kind, "event_id": event_id, "backup_name": backup_name, "agent": agent, **more}


def _serves(job: dict[str, Any], kind: str, run: datetime, late: timedelta) -> bool:
    """Whether a backup job is that of the run: queued in time, or still on its way when the run came due."""
    if job["backup_type"] not in (kind, "full"):
        return False
    queued = _instant(job["start_date"])
    if run - _EARLY <= queued <= run + late:
        return True
    return queued < run and (not job["end_date"] or _instant(job["end_date"]) >= run)


async def watch(queue: Any, agent: Agent, settings: Settings, memory: Memory, first_look: float) -> None:
    """Look at one agent again and again."""
    await asyncio.sleep(first_look)
    connection = Connection(agent, settings.timeout)
    watcher = Watch(agent, settings, memory.agents.setdefault(agent.name, {}))
    trouble = ""
    try:
        while True:
            begun = time.monotonic()
            try:
                events = watcher.answered(await connection.look(), datetime.now(UTC))
                if trouble:
                    LOG.warning("agent %s answers again", agent.name)
                trouble = ""
            except AgentTroubleError as error:
                if str(error) != trouble:
                    LOG.warning("agent %s: %s", agent.name, error)
                trouble = str(error)
                events = watcher.silent(datetime.now(UTC))
            for event in events:
                await queue.put(event)
            memory.save()
            await asyncio.sleep(max(0.0, settings.interval - (time.monotonic() - begun)))
    finally:
        await connection.close()


async def main(queue: asyncio.Queue[Any], args: dict[str, Any]) -> None:
    """Watch all agents until cancelled; raise ValueError for wrong arguments."""
    settings = settings_from(args, datetime.now(UTC))
    memory = Memory(settings.state_file)
    # Not all at the same moment.
    step = min(settings.interval, _SPREAD_SECONDS) / len(settings.agents)
    tasks = [
        asyncio.ensure_future(watch(queue, agent, settings, memory, place * step))
        for place, agent in enumerate(settings.agents)
    ]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
