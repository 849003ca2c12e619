# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Handlers of the methods on storages."""

from __future__ import annotations

from papi_backup.api.call import Answer, Call, answer_change
from papi_backup.api.parameters import Arguments
from papi_backup.api.views import steps_view, storage_view, view_change
from papi_backup.services.storages import S3StorageFields, SshStorageFields


def list_storages(call: Call) -> Answer:
    """All storages."""
    return Answer([storage_view(entry).shown(call.show) for entry in call.services.storages.list()])


def add_storage_ssh(call: Call) -> Answer:
    """Add an SSH storage."""
    change = call.services.storages.add_ssh(_ssh_fields(call.arguments), apply=not call.dry_run)
    return answer_change(call, view_change(change, storage_view))


def edit_storage_ssh(call: Call) -> Answer:
    """Edit an SSH storage."""
    change = call.services.storages.edit_ssh(
        call.arguments.integer("storage_id"), _ssh_fields(call.arguments), apply=not call.dry_run
    )
    return answer_change(call, view_change(change, storage_view))


def add_storage_s3(call: Call) -> Answer:
    """Add an S3 storage."""
    change = call.services.storages.add_s3(_s3_fields(call.arguments), apply=not call.dry_run)
    return answer_change(call, view_change(change, storage_view))


def edit_storage_s3(call: Call) -> Answer:
    """Edit an S3 storage."""
    change = call.services.storages.edit_s3(
        call.arguments.integer("storage_id"), _s3_fields(call.arguments), apply=not call.dry_run
    )
    return answer_change(call, view_change(change, storage_view))


def delete_storage(call: Call) -> Answer:
    """Delete a storage."""
    change = call.services.storages.delete(call.arguments.integer("storage_id"), apply=not call.dry_run)
    return answer_change(call, view_change(change, storage_view))


def check_storage(call: Call) -> Answer:
    """Test a storage.  A viewer's test remembers no host key: viewers change nothing."""
    name, pin = call.arguments.text("storage_name"), call.identity.is_administrator
    checked = call.services.storages.test(name, pin=pin, since=call.arrived)
    return Answer(beside={"steps": steps_view(checked)})


def _ssh_fields(arguments: Arguments) -> SshStorageFields:
    return SshStorageFields(
        storage_name=arguments.text("storage_name"),
        server_name=arguments.text("server_name"),
        ssh_port=arguments.integer("ssh_port"),
        ssh_username=arguments.text("ssh_username"),
        ssh_id_id=arguments.integer("ssh_id_id"),
        storage_base=arguments.text("storage_base"),
        host_key=arguments.optional_text("host_key"),
    )


def _s3_fields(arguments: Arguments) -> S3StorageFields:
    return S3StorageFields(
        storage_name=arguments.text("storage_name"),
        aws_key_id=arguments.text("aws_key_id"),
        bucket_name=arguments.text("bucket_name"),
        file_size=arguments.integer("file_size"),
        aws_secret_key=arguments.optional_secret("aws_secret_key"),
        endpoint_url=arguments.optional_text("endpoint_url"),
        region=arguments.optional_text("region"),
        prefix=arguments.optional_text("prefix"),
    )
