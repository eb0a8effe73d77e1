# SPDX-License-Identifier: GPL-2.0-only
"""What the end-to-end tests share: daemons of their own, images, runtimes, the agent."""
