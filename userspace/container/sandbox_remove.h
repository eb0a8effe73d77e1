/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * sandbox_remove.h - remove a tree whose content a container chose.
 *
 * Follows no link, leaves mounted file systems alone, needs a bounded number of
 * file descriptors however deep the tree is. Nobody else may write to it meanwhile.
 */
#ifndef SANDBOX_REMOVE_H
#define SANDBOX_REMOVE_H

/*
 * Remove @name in @dirfd and everything beneath it. Goes on past what cannot be
 * removed. Returns 0 (also when there is no such name) or the first -errno.
 */
int sandbox_remove_tree(int dirfd, const char *name);

#endif /* SANDBOX_REMOVE_H */
