/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * event.c - the names of event types, operations and targets.
 */
#include "ledger/event.h"

#include <errno.h>
#include <string.h>

static const char *const type_names[EVENT_TYPE_MAX] = {
	[EVENT_DRIFT] = "drift",
	[EVENT_WRITE] = "write",
	[EVENT_CONTAINER_START] = "container_start",
	[EVENT_CONTAINER_STOP] = "container_stop",
	[EVENT_CONTAINER_REMOVE] = "container_remove",
	[EVENT_LOST] = "lost",
};

static const char *const op_names[DW_OP_MAX] = {
	[DW_OP_WRITE] = "write",       [DW_OP_CREATE] = "create",	[DW_OP_MKDIR] = "mkdir",
	[DW_OP_SYMLINK] = "symlink",   [DW_OP_MKNOD] = "mknod",		[DW_OP_LINK] = "link",
	[DW_OP_UNLINK] = "unlink",     [DW_OP_RMDIR] = "rmdir",		[DW_OP_RENAME] = "rename",
	[DW_OP_TRUNCATE] = "truncate", [DW_OP_FALLOCATE] = "fallocate", [DW_OP_CHMOD] = "chmod",
	[DW_OP_CHOWN] = "chown",       [DW_OP_UTIMES] = "utimes",	[DW_OP_XATTR] = "xattr",
	[DW_OP_EXEC] = "exec",
};

static const char *const target_names[DW_TARGET_MAX] = {
	[DW_TARGET_LAYER] = "layer",
	[DW_TARGET_VOLUME] = "volume",
	[DW_TARGET_TMPFS] = "tmpfs",
	[DW_TARGET_OTHER] = "other",
};

const char *event_type_name(enum event_type type)
{
	return type < EVENT_TYPE_MAX ? type_names[type] : "unknown";
}

const char *event_op_name(enum dw_op op)
{
	return op > DW_OP_INVALID && op < DW_OP_MAX ? op_names[op] : "unknown";
}

const char *event_target_name(enum dw_target target)
{
	return target < DW_TARGET_MAX ? target_names[target] : "unknown";
}

int event_op_parse(const char *text, enum dw_op *ret)
{
	for (int op = DW_OP_INVALID + 1; op < DW_OP_MAX; op++) {
		if (strcmp(text, op_names[op]) == 0) {
			*ret = op;
			return 0;
		}
	}
	return -EINVAL;
}

int event_target_parse(const char *text, enum dw_target *ret)
{
	for (int target = 0; target < DW_TARGET_MAX; target++) {
		if (strcmp(text, target_names[target]) == 0) {
			*ret = target;
			return 0;
		}
	}
	return -EINVAL;
}
