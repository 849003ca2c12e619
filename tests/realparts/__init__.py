# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starters of real servers for the tests and the demo.  Standard library only, but for pytest's fixtures.

``sshd`` and ``s3server`` start a private OpenSSH server and a SeaweedFS; ``proxy`` stands between a
client and a server and cuts, stalls or delays.  Each is a context manager, and a command:
``python -m realparts.sshd DIRECTORY --port-file FILE`` runs until it is told to stop with TERM.
"""
