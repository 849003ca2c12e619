# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Handlers of logging in and out, of ping and of version (docs/api_conventions.md, "Ways in")."""

from __future__ import annotations

from papi_backup.api.call import Answer, Call
from papi_backup.model.errors import InvalidParameterError


def login(call: Call) -> Answer:
    """Say that the credentials of this call are right; the gate has checked them and opened the session."""
    if call.admission.session is None:
        missing = call.arguments.first_missing(("username", "password"))
        raise InvalidParameterError(f"Missing required field '{missing}'.", missing)
    # The text, not the truth value: this is what clients of this API family have always been given.
    return Answer("true")


def logout(call: Call) -> Answer:
    """End the session of the call's cookie, and one that the call's credentials opened."""
    if call.admission.token:
        call.services.access.close_session(call.admission.token)
    if call.admission.session is not None:
        call.services.access.close_session(call.admission.session.token)
    return Answer(ends_session=True)


def ping(call: Call) -> Answer:
    """Say that the agent answers."""
    del call
    return Answer("pong")


def version(call: Call) -> Answer:
    """Versions, host name, instance id, and whether the state was lost."""
    return Answer(call.agent.versions | {"state_lost": call.services.access.state_is_lost})
