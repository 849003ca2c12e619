# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demonstration of the whole product, all of it under .demo/ in the checkout."""
