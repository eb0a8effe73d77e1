/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * scan.h - a container's diff read straight from its layer: no agent, no BPF.
 */
#ifndef COMMAND_SCAN_H
#define COMMAND_SCAN_H

#include "base/strbuf.h"
#include "command/command.h"

/*
 * "A /path" NUL-terminated each, sorted by path bytes, raw: the form of session_diff().
 * Returns an enum exit_code; a failure has been logged.
 */
int scan_diff(const struct global_options *options, const char *reference, struct strbuf *out);

#endif /* COMMAND_SCAN_H */
