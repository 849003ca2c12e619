# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m papi_backup.cli``."""

from __future__ import annotations

import sys

from papi_backup.cli.main import main

sys.exit(main())
