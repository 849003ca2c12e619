# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pytest plugin for ``make quick``: leaves out what takes long, so that the inner loop is one.

Left out are tests marked ``slow``, those that use a real server, and modules that run whole backups,
restores or daemons again and again; properties are tried with fewer examples.  ``make test`` runs all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import settings

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

LONG_MODULES = frozenset(
    {
        "test_alterations",
        "test_api_access",
        "test_api_conformance",
        "test_api_dates",
        "test_api_dry_run",
        "test_api_fuzz",
        "test_api_hostile_clients",
        "test_api_job_listing",
        "test_api_methods",
        "test_api_peers",
        "test_api_results",
        "test_api_roles",
        "test_api_schemathesis",
        "test_api_server",
        "test_api_silent_clients",
        "test_api_strangers",
        "test_api_tls",
        "test_api_two_administrators",
        "test_backup_check",
        "test_backup_failures",
        "test_bad_input",
        "test_both_readers",
        "test_bounds",
        "test_cancel",
        "test_catalog_requests",
        "test_causes",
        "test_changes",
        "test_check",
        "test_chunk_index",
        "test_cli_commands",
        "test_confinement",
        "test_content_reader",
        "test_costs",
        "test_daemon",
        "test_daemon_access",
        "test_event_source",
        "test_extreme_trees",
        "test_golden_format_v1",
        "test_histories",
        "test_host_keys",
        "test_hostile_bytes",
        "test_hung_storage",
        "test_index_cache",
        "test_kept_rows",
        "test_limits",
        "test_lost_outcomes",
        "test_manifest_bodies",
        "test_moving_sources",
        "test_page_round_trips",
        "test_parent_choice",
        "test_planted_manifests",
        "test_planted_parents",
        "test_query_helper",
        "test_real_answers",
        "test_realparts",
        "test_recover",
        "test_restore_choice",
        "test_restore_circle",
        "test_restore_damage",
        "test_restore_failures",
        "test_restore_fetch",
        "test_restore_given_up",
        "test_restore_include",
        "test_restore_overwrite",
        "test_restore_plan",
        "test_restore_target",
        "test_restore_unit",
        "test_s3_faults",
        "test_s3_policy",
        "test_s3_providers",
        "test_schedule_oracle",
        "test_sftp_real",
        "test_state_durability",
        "test_strangers_whole_way",
        "test_supervisor",
        "test_swapped_names",
        "test_termination",
        "test_throttled",
        "test_two_at_once",
        "test_two_weeks",
        "test_volumes_and_pages",
        "test_whole_way",
    }
)
"""By their times in a run of everything; a module that grows beyond some seconds belongs here."""

_EXAMPLES = 10
_SERVER_WORDS = ("sshd", "ssh_access", "s3_server", "s3_access", "sftp")


def pytest_configure(config: pytest.Config) -> None:
    """Before any test is read: each takes the number of examples that stands when it is defined."""
    del config
    settings.register_profile("inner loop", max_examples=_EXAMPLES, deadline=None)
    settings.load_profile("inner loop")


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Do not even read the long modules: every worker would make one's five thousand cases, to drop them."""
    return True if collection_path.stem in LONG_MODULES else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the fast ones."""
    left_out = [item for item in items if _is_long(item)]
    items[:] = [item for item in items if not _is_long(item)]
    config.hook.pytest_deselected(items=left_out)


def _is_long(item: pytest.Item) -> bool:
    if item.get_closest_marker("slow"):
        return True
    callspec = getattr(item, "callspec", None)
    places = [value for value in callspec.params.values() if isinstance(value, str)] if callspec else []
    names = getattr(item, "fixturenames", ())
    if any(word in name for name in names for word in _SERVER_WORDS):
        return True
    return any(place in {"s3", "ssh"} or place.startswith("sftp") for place in places)
