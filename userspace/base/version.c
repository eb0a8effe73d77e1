/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * version.c - the two strings that the Makefile writes into build/build_version.h.
 */
#include "base/version.h"

#include "build_version.h"

const char *version_string(void)
{
	return DRIFTWATCH_VERSION;
}

const char *version_revision(void)
{
	return DRIFTWATCH_REVISION;
}
