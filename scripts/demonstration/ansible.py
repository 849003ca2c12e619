# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the collection, installs it and runs the demonstration's playbook from what was installed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import BinaryIO

from demonstration.layout import REPOSITORY, DemoError, Layout, remove_tree

BIN = Path(sys.executable).parent
PLAYBOOK = "papi.backup.demo"
RUN_TIME_PARTS = frozenset({"meta", "plugins", "roles", "playbooks"})
"""What an installed collection may rely on; packagers leave out the rest."""
_END_SECONDS = 10


class Ansible:
    """ansible-playbook and ansible-galaxy, kept away from the user's own settings and directories."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._home = layout.root / "ansible"
        self._home.mkdir(exist_ok=True)
        configuration = self._home / "ansible.cfg"
        configuration.write_text("[defaults]\n")
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")},
            "PATH": f"{BIN}:{os.environ.get('PATH', os.defpath)}",
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_CONFIG": str(configuration),
            "ANSIBLE_HOME": str(self._home),
            "ANSIBLE_LOCAL_TEMP": str(self._home / "tmp"),
            "ANSIBLE_REMOTE_TEMP": str(self._home / "remote"),
            "ANSIBLE_COLLECTIONS_PATH": str(layout.collections),
            "ANSIBLE_COLLECTIONS_SCAN_SYS_PATH": "0",
            "ANSIBLE_LOCALHOST_WARNING": "0",
            "ANSIBLE_INVENTORY_UNPARSED_WARNING": "0",
            "ANSIBLE_NOCOLOR": "1",
        }

    def install_collection(self) -> str:
        """Build the collection's tarball from the checkout, install its run-time parts; return its name."""
        target = self._layout.root / "build"
        self._run(
            "building the collection", [str(REPOSITORY / "scripts" / "build"), "collection", str(target)]
        )
        tarballs = sorted(target.glob("papi-backup-*.tar.gz"))
        if len(tarballs) != 1:
            raise DemoError(f"expected one collection tarball in {target}, found {len(tarballs)}")
        command = [str(BIN / "ansible-galaxy"), "collection", "install", "--offline", "--no-deps"]
        command += ["-p", str(self._layout.collections), str(tarballs[0])]
        self._run("installing the collection", command)
        installed = self._layout.collections / "ansible_collections" / "papi" / "backup"
        if not (installed / "MANIFEST.json").exists():
            raise DemoError("the collection was not installed where it should be")
        for path in installed.iterdir():
            if path.name not in RUN_TIME_PARTS:
                remove_tree(path) if path.is_dir() else path.unlink()
        return tarballs[0].name

    def play(self, variables: dict[str, object]) -> None:
        """Run the playbook of the installed collection; raises :class:`DemoError` with its failed task."""
        vars_file = self._layout.root / "vars.json"
        vars_file.touch(mode=0o600)
        vars_file.write_text(json.dumps(variables, indent=2))
        log = self._layout.logs / "playbook.log"
        command = [str(BIN / "ansible-playbook"), PLAYBOOK, "-e", f"@{vars_file}"]
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=self._layout.root,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                _follow(process, output)
            finally:
                _end(process)
        if process.returncode:
            raise DemoError(f"the playbook ended with status {process.returncode}; its output is in {log}")

    def _run(self, what: str, command: list[str]) -> None:
        done = subprocess.run(
            command, cwd=self._layout.root, env=self._environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise DemoError(f"{what} failed: {(done.stdout + done.stderr).strip()[-1500:]}")


def _follow(process: subprocess.Popen[bytes], log: BinaryIO) -> None:
    """Write all output to the log; print which task runs, and from a failure on everything."""
    failed = False
    for line in process.stdout or ():
        log.write(line)
        failed = failed or line.startswith((b"fatal:", b"failed:", b"ERROR", b"[ERROR]"))
        text = line.decode(errors="replace").rstrip()
        if failed:
            print(f"    {text}", flush=True)
        elif text.startswith("TASK ["):
            print(f"    {text[6:].partition(']')[0]}", flush=True)
    process.wait()


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
