# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How memory, long chains, large catalogs and the resting daemon scale; ``make bench-scale``."""
