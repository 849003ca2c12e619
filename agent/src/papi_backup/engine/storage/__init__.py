# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Storages behind one protocol: SFTP, S3, a local directory, and wrappers around them."""
