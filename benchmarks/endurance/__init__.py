# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hundreds of jobs of a real agent over connections that break, and over a cluster that loses a server."""
