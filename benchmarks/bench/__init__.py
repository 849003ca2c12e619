# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ours beside its peers: the same data, the same servers, the same steps, measured the same way."""
