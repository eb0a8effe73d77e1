/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_derive.c - which operation a verified change of the layer stands for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <sys/stat.h>

#include <cmocka.h>

#include "agent/engine_internal.h"
#include "base/clock.h"

#define OP(op) (1u << (op))

static struct queued_change change(unsigned bits, unsigned mode, enum tree_verdict before,
				   enum tree_verdict after)
{
	struct queued_change c = {.bits = bits, .before = before, .after = after};

	c.info.st.st_mode = mode;
	c.info.verdict = after;
	return c;
}

static void expect(unsigned bits, unsigned mode, enum tree_verdict before, enum tree_verdict after,
		   unsigned explained, enum dw_op op)
{
	struct queued_change c = change(bits, mode, before, after);

	assert_int_equal(engine_derive_op(&c, explained), op);
}

static void new_names_are_creations_of_their_kind(void **state)
{
	unsigned bits = TREE_CHANGE_APPEARED | TREE_CHANGE_VERDICT;

	(void)state;
	expect(bits, S_IFREG | 0644, TREE_NONE, TREE_ADDED, 0, DW_OP_CREATE);
	expect(bits, S_IFDIR | 0755, TREE_NONE, TREE_ADDED, 0, DW_OP_MKDIR);
	expect(bits, S_IFLNK | 0777, TREE_NONE, TREE_ADDED, 0, DW_OP_SYMLINK);
	expect(bits, S_IFIFO | 0644, TREE_NONE, TREE_ADDED, 0, DW_OP_MKNOD);
	expect(bits, S_IFREG | 0644, TREE_NONE, TREE_ADDED, OP(DW_OP_CREATE), DW_OP_INVALID);
}

static void an_inode_at_another_name_was_renamed_or_linked(void **state)
{
	(void)state;
	expect(TREE_CHANGE_APPEARED | TREE_CHANGE_RENAMED, S_IFREG | 0644, TREE_NONE, TREE_ADDED,
	       OP(DW_OP_CREATE), DW_OP_RENAME);
	expect(TREE_CHANGE_APPEARED | TREE_CHANGE_LINKED, S_IFREG | 0644, TREE_NONE, TREE_ADDED, 0,
	       DW_OP_LINK);
	expect(TREE_CHANGE_APPEARED | TREE_CHANGE_RENAMED, S_IFREG | 0644, TREE_NONE, TREE_ADDED,
	       OP(DW_OP_RENAME), DW_OP_INVALID);
}

static void attributes_tell_the_call_that_set_them(void **state)
{
	(void)state;
	expect(TREE_CHANGE_MODE | TREE_CHANGE_CTIME, S_IFREG | 0755, TREE_ADDED, TREE_ADDED, 0,
	       DW_OP_CHMOD);
	expect(TREE_CHANGE_OWNER | TREE_CHANGE_MODE, S_IFREG | 0755, TREE_ADDED, TREE_ADDED, 0,
	       DW_OP_CHOWN);
	expect(TREE_CHANGE_CAPABILITY, S_IFREG | 0755, TREE_NONE, TREE_MODIFIED, 0, DW_OP_XATTR);
	expect(TREE_CHANGE_CTIME, S_IFREG | 0755, TREE_NONE, TREE_NONE, 0, DW_OP_XATTR);
	/* That name is told of. */
	expect(TREE_CHANGE_CTIME | TREE_CHANGE_NLINK, S_IFREG | 0755, TREE_ADDED, TREE_ADDED, 0,
	       DW_OP_INVALID);
}

static void a_new_mode_is_told_also_right_after_creation_and_write(void **state)
{
	(void)state;
	expect(TREE_CHANGE_MODE | TREE_CHANGE_CTIME, S_IFREG | 0755, TREE_ADDED, TREE_ADDED,
	       OP(DW_OP_CREATE) | OP(DW_OP_WRITE), DW_OP_CHMOD);
}

static void growth_of_a_changed_file_is_no_change_of_state(void **state)
{
	(void)state;
	expect(TREE_CHANGE_SIZE | TREE_CHANGE_MTIME, S_IFREG | 0644, TREE_ADDED, TREE_ADDED, 0,
	       DW_OP_INVALID);
	expect(TREE_CHANGE_SIZE | TREE_CHANGE_VERDICT, S_IFREG | 0644, TREE_NONE, TREE_MODIFIED, 0,
	       DW_OP_WRITE);
}

static void a_file_that_shrank_without_a_write_was_truncated(void **state)
{
	unsigned bits = TREE_CHANGE_SIZE | TREE_CHANGE_SHRUNK | TREE_CHANGE_MTIME;

	(void)state;
	expect(bits | TREE_CHANGE_VERDICT, S_IFREG | 0644, TREE_NONE, TREE_MODIFIED, 0,
	       DW_OP_TRUNCATE);
	expect(bits, S_IFREG | 0644, TREE_ADDED, TREE_ADDED, 0, DW_OP_TRUNCATE);
	expect(bits, S_IFREG | 0644, TREE_ADDED, TREE_ADDED, OP(DW_OP_WRITE), DW_OP_INVALID);
}

static void utimes_sets_a_time_that_is_not_now(void **state)
{
	struct queued_change c = change(TREE_CHANGE_MTIME | TREE_CHANGE_VERDICT, S_IFREG | 0644,
					TREE_NONE, TREE_MODIFIED);

	(void)state;
	c.info.st.st_ctim.tv_sec = 1000;
	c.info.st.st_mtim.tv_sec = 5;
	assert_int_equal(engine_derive_op(&c, 0), DW_OP_UTIMES);
	c.info.st.st_mtim.tv_sec = 1000; /* a store through a mapping sets both to now */
	assert_int_equal(engine_derive_op(&c, 0), DW_OP_WRITE);
}

static void a_whiteout_is_a_removal_of_what_it_hides(void **state)
{
	struct queued_change c =
		change(TREE_CHANGE_APPEARED | TREE_CHANGE_WHITEOUT | TREE_CHANGE_VERDICT, S_IFCHR,
		       TREE_NONE, TREE_DELETED);

	(void)state;
	c.info.is_whiteout = true;
	assert_int_equal(engine_derive_op(&c, 0), DW_OP_UNLINK);
	assert_int_equal(engine_derive_op(&c, OP(DW_OP_UNLINK)), DW_OP_UNLINK); /* shared inode */
	c.lower_is_dir = true;
	assert_int_equal(engine_derive_op(&c, 0), DW_OP_RMDIR);
	expect(TREE_CHANGE_VANISHED, S_IFDIR | 0755, TREE_ADDED, TREE_NONE, 0, DW_OP_RMDIR);
	expect(TREE_CHANGE_VANISHED, S_IFREG | 0644, TREE_ADDED, TREE_NONE, OP(DW_OP_UNLINK),
	       DW_OP_INVALID);
}

static void what_the_first_scan_finds_is_not_news(void **state)
{
	(void)state;
	expect(TREE_CHANGE_APPEARED | TREE_CHANGE_INITIAL, S_IFREG | 0644, TREE_NONE, TREE_ADDED, 0,
	       DW_OP_INVALID);
}

/* --- which change belongs to which --- */

#define RENAMED_INO 7

struct flush {
	struct engine engine;
	struct track track;
	struct ledger_container container;
	struct queued_change changes[3];
};

static void add_change(struct flush *f, const char *path, uint64_t wall_ns, bool is_whiteout)
{
	struct queued_change c =
		change(TREE_CHANGE_APPEARED | TREE_CHANGE_VERDICT, is_whiteout ? S_IFCHR : S_IFREG,
		       TREE_NONE, is_whiteout ? TREE_DELETED : TREE_ADDED);

	c.track = &f->track;
	c.path = path;
	c.path_len = strlen(path);
	c.cause.wall_ns = wall_ns;
	c.info.is_whiteout = is_whiteout;
	c.info.st.st_ino = is_whiteout ? 1 : RENAMED_INO; /* whiteouts can share an inode */
	c.info.st.st_nlink = 1;
	f->changes[f->engine.changes_len++] = c;
}

/* Two files of the image have gone, and one that was copied up has a new name. */
static void expect_renamed(const char *gone, uint64_t gone_ns, const char *old, uint64_t old_ns,
			   const char *new, uint64_t new_ns)
{
	const struct dw_op_record copy_up = {.ino = RENAMED_INO, .flags = DW_RECORD_WORKDIR};
	struct flush f = {.track.engine = &f.engine};

	f.track.c = &f.container;
	f.engine.changes = f.changes;
	engine_keep_pending(&f.engine, &copy_up);
	add_change(&f, gone, gone_ns, true);
	add_change(&f, old, old_ns, true);
	add_change(&f, new, new_ns, false);
	engine_relate_changes(&f.engine);
	assert_false(f.changes[0].is_claimed);
	assert_true(f.changes[1].is_claimed);
	assert_true(f.changes[2].bits & TREE_CHANGE_RENAMED);
	assert_string_equal(f.changes[2].old_path, old);
	engine_expire(&f.engine, UINT64_MAX);
}

static void what_went_in_the_same_flush_is_not_what_was_renamed(void **state)
{
	(void)state;
	expect_renamed("/gone/f", 50, "/a/f", 90, "/a/new", 50);   /* in its directory */
	expect_renamed("/gone/g", 50, "/a/f", 90, "/b/f", 50);	   /* by the name it kept */
	expect_renamed("/gone/f", 90, "/a/f", 50, "/a/b/new", 50); /* by the moment */
}

/* --- which life of an inode number a record is of --- */

#define TOLD_NS (20 * NS_PER_SEC)

/* A file that was made and removed, and one with its number that is found before its record. */
static struct flush told_flush(uint64_t birth_ns)
{
	struct flush f = {0};
	struct dw_op_record told = {.ino = RENAMED_INO, .op = DW_OP_CREATE, .boot_ns = TOLD_NS};
	const struct tree_cause cause = {.writer = 5, .wall_ns = TOLD_NS};

	engine_explain_creation(&f.engine, &told, "/old");
	engine_keep_origin(&f.engine, 0, RENAMED_INO, &cause);
	told.op = DW_OP_UNLINK;
	engine_explain(&f.engine, &told);
	engine_keep_pending(&f.engine, &(struct dw_op_record){.ino = 9, .boot_ns = TOLD_NS});
	engine_forget_earlier(&f.engine, 0, RENAMED_INO, birth_ns);
	engine_forget_earlier(&f.engine, 0, 9, birth_ns);
	return f;
}

static void what_is_told_says_nothing_of_who_was_born_later(void **state)
{
	struct flush f = told_flush(TOLD_NS + NS_PER_SEC / 100);

	(void)state;
	/* That the earlier one was removed is still to be seen in the layer. */
	assert_int_equal(engine_explained_ops(&f.engine, 0, RENAMED_INO), OP(DW_OP_UNLINK));
	assert_null(engine_created_at(&f.engine, 0, RENAMED_INO));
	assert_null(engine_find_origin(&f.engine, 0, RENAMED_INO));
	assert_null(engine_find_pending(&f.engine, 0, 9));
	engine_expire(&f.engine, UINT64_MAX);
}

static void what_is_told_is_of_who_was_born_before_or_nobody_knows_when(void **state)
{
	const uint64_t births[] = {0, TOLD_NS - NS_PER_SEC, TOLD_NS};

	(void)state;
	for (size_t i = 0; i < sizeof(births) / sizeof(*births); i++) {
		struct flush f = told_flush(births[i]);

		assert_int_equal(engine_explained_ops(&f.engine, 0, RENAMED_INO),
				 OP(DW_OP_CREATE) | OP(DW_OP_UNLINK));
		assert_string_equal(engine_created_at(&f.engine, 0, RENAMED_INO), "/old");
		assert_non_null(engine_find_origin(&f.engine, 0, RENAMED_INO));
		assert_non_null(engine_find_pending(&f.engine, 0, 9));
		engine_expire(&f.engine, UINT64_MAX);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(new_names_are_creations_of_their_kind),
		cmocka_unit_test(an_inode_at_another_name_was_renamed_or_linked),
		cmocka_unit_test(attributes_tell_the_call_that_set_them),
		cmocka_unit_test(a_new_mode_is_told_also_right_after_creation_and_write),
		cmocka_unit_test(growth_of_a_changed_file_is_no_change_of_state),
		cmocka_unit_test(a_file_that_shrank_without_a_write_was_truncated),
		cmocka_unit_test(utimes_sets_a_time_that_is_not_now),
		cmocka_unit_test(a_whiteout_is_a_removal_of_what_it_hides),
		cmocka_unit_test(what_the_first_scan_finds_is_not_news),
		cmocka_unit_test(what_went_in_the_same_flush_is_not_what_was_renamed),
		cmocka_unit_test(what_is_told_says_nothing_of_who_was_born_later),
		cmocka_unit_test(what_is_told_is_of_who_was_born_before_or_nobody_knows_when),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
