# SPDX-License-Identifier: GPL-2.0-only
"""The benchmark: what watching costs, beside the floor and beside others."""
