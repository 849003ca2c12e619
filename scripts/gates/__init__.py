# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gates of the collection: what has to be installed, started or copied before it can be asked.

A gate that cannot run fails and says what is missing.  Standard library only.
"""
