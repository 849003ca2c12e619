# SPDX-FileCopyrightText: papi.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Listens on a loopback port, which it writes to DIRECTORY/port, and never says a word, until DIRECTORY/stop is there."""

from __future__ import annotations

import os
import socket
import sys
import time

SECONDS = 100


def main():
    """Take connections as the kernel does: nobody accepts or answers them."""
    directory = sys.argv[1]
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(8)
        new = os.path.join(directory, "port.new")
        with open(new, "w") as file:
            file.write(str(listener.getsockname()[1]))
        os.rename(new, os.path.join(directory, "port"))
        ends = time.monotonic() + SECONDS
        while time.monotonic() < ends and not os.path.exists(os.path.join(directory, "stop")):
            time.sleep(0.2)


if __name__ == "__main__":
    main()
