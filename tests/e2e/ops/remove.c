/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * remove.c - image files removed, and what is put in their place.
 */
#include "ops.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static int op_unlink_image(void)
{
	TRY(unlink(F));
	return 0;
}

static int op_unlink_open_write(void)
{
	int fd = open(F, O_WRONLY);

	TRY(fd);
	TRY(unlink(F));
	TRY(write(fd, text_bytes(), 100));
	return close(fd);
}

static int op_unlink_recreate(void)
{
	TRY(unlink(F));
	return put(F, O_WRONLY | O_CREAT, 0644, 33);
}

/* Same bytes, mode, owner and time: docker diff is silent. */
static int op_recreate_identical(void)
{
	char content[F_LEN];
	int fd = open(F, O_RDONLY);

	TRY(fd);
	TRY(read(fd, content, sizeof(content)));
	TRY(close(fd));
	TRY(unlink(F));
	fd = open(F, O_WRONLY | O_CREAT, 0600);
	TRY(fd);
	TRY(write(fd, content, sizeof(content)));
	TRY(fchmod(fd, 0644));
	TRY(set_image_time(fd));
	return close(fd);
}

static int op_rmdir_image(void)
{
	TRY(rmdir(ED));
	return 0;
}

static int op_rmdir_mkdir_image(void)
{
	TRY(rmdir(ED));
	TRY(mkdir(ED, 0755));
	return 0;
}

static int op_rmtree_image(void)
{
	return remove_tree(D);
}

static int op_rmtree_recreate(void)
{
	TRY(remove_tree(D));
	TRY(mkdir(D, 0755));
	TRY(make(D "/a"));
	return make(D "/z");
}

static int op_file_to_dir(void)
{
	TRY(unlink(F));
	TRY(mkdir(F, 0755));
	return make(F "/x");
}

static int op_dir_to_file(void)
{
	TRY(rmdir(ED));
	return make(ED);
}

static int op_dir_to_symlink(void)
{
	TRY(rmdir(ED));
	TRY(symlink("d", ED));
	return 0;
}

const struct op remove_ops[] = {
	{"unlink_image", op_unlink_image},	 {"unlink_open_write", op_unlink_open_write},
	{"unlink_recreate", op_unlink_recreate}, {"recreate_identical", op_recreate_identical},
	{"rmdir_image", op_rmdir_image},	 {"rmdir_mkdir_image", op_rmdir_mkdir_image},
	{"rmtree_image", op_rmtree_image},	 {"rmtree_recreate", op_rmtree_recreate},
	{"file_to_dir", op_file_to_dir},	 {"dir_to_file", op_dir_to_file},
	{"dir_to_symlink", op_dir_to_symlink},	 {0},
};
