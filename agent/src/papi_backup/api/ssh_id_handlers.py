# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Handlers of the methods on SSH ids."""

from __future__ import annotations

from papi_backup.api.call import Answer, Call, answer_change
from papi_backup.api.views import ssh_id_view, view_change


def list_ssh_ids(call: Call) -> Answer:
    """All SSH ids."""
    return Answer([ssh_id_view(ssh_id).shown(call.show) for ssh_id in call.services.ssh_ids.list()])


def generate_new_ssh_id(call: Call) -> Answer:
    """Make a key pair."""
    change = call.services.ssh_ids.generate(
        call.arguments.text("key_name"), call.arguments.integer("key_length"), apply=not call.dry_run
    )
    return answer_change(call, view_change(change, ssh_id_view))


def delete_ssh_id(call: Call) -> Answer:
    """Delete a key pair."""
    change = call.services.ssh_ids.delete(call.arguments.integer("ssh_id_id"), apply=not call.dry_run)
    return answer_change(call, view_change(change, ssh_id_view))


def get_pub_ssh_id(call: Call) -> Answer:
    """The public part of a key pair."""
    return Answer({"pub_key": call.services.ssh_ids.get(call.arguments.integer("ssh_id_id")).public_key})
