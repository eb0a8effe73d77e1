/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * meta.c - modes, owners, times, extended attributes, flags.
 */
#include "ops.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

static int op_chmod(void)
{
	TRY(chmod(F, 0600));
	return 0;
}

static int op_chmod_same(void)
{
	TRY(chmod(F, 0644));
	return 0;
}

static int op_fchmod(void)
{
	int fd = open(F, O_RDONLY);

	TRY(fd);
	TRY(fchmod(fd, 0600));
	return close(fd);
}

static int op_fchmodat2(void)
{
	TRY(syscall(452, AT_FDCWD, F, 0640, AT_SYMLINK_NOFOLLOW));
	return 0;
}

static int op_chmod_suid(void)
{
	TRY(chmod(F, 04755));
	return 0;
}

static int op_chmod_dir(void)
{
	TRY(chmod(D, 0700));
	return 0;
}

static int op_chown(void)
{
	TRY(chown(F, 1000, 1000));
	return 0;
}

static int op_fchownat_empty(void)
{
	int fd = open(F, O_PATH);

	TRY(fd);
	TRY(fchownat(fd, "", 1000, 1000, AT_EMPTY_PATH));
	return close(fd);
}

static int op_lchown_sl(void)
{
	TRY(lchown(IMG "/sl", 1000, 1000));
	return 0;
}

static int set_times(const char *path, struct timespec atime, struct timespec mtime)
{
	struct timespec times[2] = {atime, mtime};

	return utimensat(AT_FDCWD, path, times, 0);
}

static int op_utimensat(void)
{
	struct timespec t = {.tv_sec = 1000000000};

	TRY(set_times(F, t, t));
	return 0;
}

static int op_futimens_atime(void)
{
	struct timespec times[2] = {{.tv_sec = 1000000000}, {.tv_nsec = UTIME_OMIT}};
	int fd = open(F, O_RDONLY);

	TRY(fd);
	TRY(futimens(fd, times));
	return close(fd);
}

static int op_utimes_dir(void)
{
	struct timespec t = {.tv_sec = 1000000000};

	TRY(set_times(D, t, t));
	return 0;
}

static int op_setxattr_user(void)
{
	TRY(setxattr(F, "user.x", "1", 1, 0));
	return 0;
}

static int op_removexattr(void)
{
	TRY(setxattr(F, "user.x", "1", 1, 0));
	TRY(removexattr(F, "user.x"));
	return 0;
}

static int op_setxattr_cap(void)
{
	struct vfs_cap_data cap = {.magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE};

	cap.data[0].permitted = 1u << CAP_NET_BIND_SERVICE;
	TRY(setxattr(F, "security.capability", &cap, XATTR_CAPS_SZ_2, 0));
	return 0;
}

/* An access list with one named user: the group bits of the mode become its mask. */
static int op_acl(void)
{
	struct {
		uint32_t version;
		struct {
			uint16_t tag, perm;
			uint32_t id;
		} entry[5];
	} acl = {
		.version = 2,
		.entry = {{0x01, 6, -1u},
			  {0x02, 7, 1000},
			  {0x04, 4, -1u},
			  {0x10, 7, -1u},
			  {0x20, 4, -1u}},
	};

	TRY(setxattr(F, "system.posix_acl_access", &acl, sizeof(acl), 0));
	return 0;
}

static int op_setflags(void)
{
	int fd = open(F, O_RDONLY);
	int flags = 0;

	TRY(fd);
	TRY(ioctl(fd, FS_IOC_GETFLAGS, &flags));
	flags |= FS_NODUMP_FL;
	TRY(ioctl(fd, FS_IOC_SETFLAGS, &flags));
	return close(fd);
}

/* Looks like overlayfs's own mark to whoever reads the layer carelessly. */
static int op_whiteout_xattr_dir(void)
{
	TRY(setxattr(D, "user.overlay.opaque", "y", 1, 0));
	return 0;
}

static int op_write_restore_mtime(void)
{
	int fd = open(F, O_WRONLY);

	TRY(fd);
	TRY(write(fd, text_bytes() + 7, 100));
	TRY(set_image_time(fd));
	return close(fd);
}

const struct op meta_ops[] = {
	{"chmod", op_chmod},
	{"chmod_same", op_chmod_same},
	{"fchmod", op_fchmod},
	{"fchmodat2", op_fchmodat2},
	{"chmod_suid", op_chmod_suid},
	{"chmod_dir", op_chmod_dir},
	{"chown", op_chown},
	{"fchownat_empty", op_fchownat_empty},
	{"lchown_sl", op_lchown_sl},
	{"utimensat", op_utimensat},
	{"futimens_atime", op_futimens_atime},
	{"utimes_dir", op_utimes_dir},
	{"setxattr_user", op_setxattr_user},
	{"setxattr_cap", op_setxattr_cap},
	{"removexattr", op_removexattr},
	{"acl", op_acl},
	{"setflags", op_setflags},
	{"whiteout_xattr_dir", op_whiteout_xattr_dir},
	{"write_restore_mtime", op_write_restore_mtime},
	{0},
};
