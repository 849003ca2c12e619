# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the restore unit runs, with a scripted worker (no test by itself)."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

from papi_backup.jobs.restore_session import serve

WORKER = (sys.executable, str(Path(__file__).with_name("scripted_worker.py")))

if __name__ == "__main__":
    with socket.socket(fileno=0) as agents_side:
        sys.exit(serve(agents_side, WORKER))
