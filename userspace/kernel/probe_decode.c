/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * probe_decode.c - bytes of the rings to records.
 *
 * Names in them were chosen by containers and lengths by our programs; neither is
 * trusted: what does not add up is refused.
 */
#include <errno.h>
#include <string.h>

#include "kernel/probe.h"

/* A path of @len bytes at @path: NUL-terminated, no NUL inside. "" when @len is 0. */
static int decode_path(const char *path, size_t len, const char **ret, size_t *ret_len)
{
	if (!len) {
		*ret = "";
		*ret_len = 0;
		return 0;
	}
	if (len > DW_PATH_MAX || strnlen(path, len) != len - 1)
		return -EBADMSG;
	*ret = path;
	*ret_len = len - 1;
	return 0;
}

static int decode_op(const void *data, size_t size, struct probe_record *ret)
{
	const struct dw_op_record *op = data;
	int err;

	if (size < sizeof(*op) || size - sizeof(*op) < (size_t)op->path_len + op->path2_len)
		return -EBADMSG;
	if (op->op == DW_OP_INVALID || op->op >= DW_OP_MAX || op->target >= DW_TARGET_MAX)
		return -EPROTO;
	if (strnlen(op->comm, sizeof(op->comm)) == sizeof(op->comm))
		return -EBADMSG;

	err = decode_path(op->path, op->path_len, &ret->path, &ret->path_len);
	if (!err)
		err = decode_path(op->path + op->path_len, op->path2_len, &ret->path2,
				  &ret->path2_len);
	ret->op = op;
	return err;
}

static int decode_cgroup(const void *data, size_t size, struct probe_record *ret)
{
	const struct dw_cgroup_record *cgroup = data;

	if (size < sizeof(*cgroup) || size - sizeof(*cgroup) < cgroup->path_len)
		return -EBADMSG;
	if (cgroup->op != DW_CGROUP_MKDIR && cgroup->op != DW_CGROUP_RMDIR)
		return -EPROTO;
	ret->cgroup = cgroup;
	return decode_path(cgroup->path, cgroup->path_len, &ret->path, &ret->path_len);
}

static int decode_sight(const void *data, size_t size, struct probe_record *ret)
{
	if (size < sizeof(struct dw_sight_record))
		return -EBADMSG;
	ret->sight = data;
	return 0;
}

static int decode_dirty(const void *data, size_t size, struct probe_record *ret)
{
	const struct dw_dirty_record *dirty = data;

	if (size < sizeof(*dirty) ||
	    strnlen(dirty->comm, sizeof(dirty->comm)) == sizeof(dirty->comm))
		return -EBADMSG;
	ret->dirty = dirty;
	return 0;
}

int probe_decode(const void *data, size_t size, struct probe_record *ret)
{
	struct probe_record record = {.path = "", .path2 = ""};
	uint16_t type;
	int err;

	if (size < sizeof(type) || (uintptr_t)data % 8)
		return -EBADMSG;
	memcpy(&type, data, sizeof(type));
	switch (type) {
	case DW_RECORD_OP:
		err = decode_op(data, size, &record);
		break;
	case DW_RECORD_CGROUP:
		err = decode_cgroup(data, size, &record);
		break;
	case DW_RECORD_SIGHT:
		err = decode_sight(data, size, &record);
		break;
	case DW_RECORD_DIRTY:
		err = decode_dirty(data, size, &record);
		break;
	default:
		return -EPROTO;
	}
	if (err)
		return err;
	record.type = type;
	*ret = record;
	return 0;
}
