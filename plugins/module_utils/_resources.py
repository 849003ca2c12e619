# -*- coding: utf-8 -*-
# SPDX-FileCopyrightText: papi.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent's things by name, as the Backup API lists them.

Private to papi.backup: it may change in any release.
"""

from __future__ import annotations

from ansible_collections.papi.backup.plugins.module_utils._errors import AgentError, UsageError, NO_SUCH_ENTITY


def versions(client):
    """Return the versions of the agent, its API and its format, its host's name and its installation's id."""
    return client.query("version")


def matching(entries, **filters):
    """Return the entries whose fields equal all filters that are given."""
    given = {field: value for field, value in filters.items() if value is not None}
    return [entry for entry in entries if all(entry.get(field) == value for field, value in given.items())]


def storages(client):
    """Return all storages in order of creation."""
    return client.query("storage/list")


def storage_named(client, name):
    """Return the storage of that name, or None."""
    return _first(matching(storages(client), storage_name=name))


def ssh_ids(client):
    """Return all SSH ids in order of creation."""
    return client.query("ssh-id/list")


def ssh_id_named(client, name):
    """Return the SSH id of that name, or None."""
    return _first(matching(ssh_ids(client), key_name=name))


def public_key(client, ssh_id):
    """Return the public part of an SSH id, as authorized_keys wants it."""
    return client.query("ssh-id/get-pub", ssh_id_id=ssh_id["ssh_id_id"])["pub_key"]


def typed_config(config):
    """Return a flat configuration with lists as lists and without the deprecated fields of its schedules."""
    return {key: _typed_schedule(value) if key in ("full", "inc") else value for key, value in config.items()}


def _typed_schedule(schedule):
    typed = {field: schedule.get(field) for field in ("period", "frequency")}
    for field in ("time_list", "day_run", "time_run"):
        given = schedule.get(field) or []
        typed[field] = [int(one) for one in (given if isinstance(given, list) else str(given).split(","))]
    return typed


def config_named(client, name):
    """Return a configuration flat: its fields, and its schedules as ``full`` and ``inc``; or None."""
    try:
        answer = client.query("backup-config/get", backup_name=name)
    except AgentError as error:
        if error.code == NO_SUCH_ENTITY:
            return None
        raise
    return typed_config(dict(answer["config"], full=answer["full"], inc=answer["inc"]))


def configs(client, timezone=None):
    """Return all configurations like config_named(), with the last jobs of both types as ``last``."""
    found = []
    for entry in client.query("backup-config/list", timezone=timezone):
        config = config_named(client, entry["backup_name"])
        # Deleted by someone else between the two calls: then it is not there.
        if config is not None:
            found.append(dict(config, last={"full": entry["full"], "inc": entry["inc"]}))
    return found


def jobs(client, timezone=None):
    """Return the history of jobs as the agent orders it."""
    return client.query("job/list", timezone=timezone)


def job_numbered(client, job_id):
    """Return one job; raise UsageError when the agent does not know it (any more)."""
    job = _first([job for job in jobs(client) if str(job["job_id"]) == str(job_id)])
    if job is None:
        raise UsageError("the agent's history has no job {0}.".format(job_id))
    return job


def backups(client, **filters):
    """Return the backups on the storages as one list; each entry also says its storage and backup name."""
    answer = client.query("backup/list", **filters)
    return [
        dict(entry, storage_name=storage, backup_name=name)
        for storage, names in sorted(answer.items())
        for name, entries in sorted(names.items())
        for entry in entries
    ]


def host_names(client, storage_name=None):
    """Return the names of the backed-up hosts by storage."""
    return client.query("backup/list-hostname", storage_name=storage_name)


def _first(entries):
    return entries[0] if entries else None
