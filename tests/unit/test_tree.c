/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_tree.c - the tree follows its layer: verdicts, changes reported, attribution.
 */
#include "tree_world.h"

/* An image as the knowledge base has it: /img with f, f2, d/{a,b,sub/c}, ed. */
static void put_image(struct world *w)
{
	put_dir(world_path(w, "l0/img"));
	put_file(world_path(w, "l0/img/f"), "content");
	put_file(world_path(w, "l0/img/f2"), "content2");
	put_dir(world_path(w, "l0/img/d"));
	put_file(world_path(w, "l0/img/d/a"), "a");
	put_file(world_path(w, "l0/img/d/b"), "b");
	put_dir(world_path(w, "l0/img/d/sub"));
	put_file(world_path(w, "l0/img/d/sub/c"), "c");
	put_dir(world_path(w, "l0/img/ed"));
}

static int setup(void **state)
{
	struct tree_world *tw = calloc(1, sizeof(*tw));

	tree_world_make(tw, 1);
	put_image(&tw->w);
	*state = tw;
	return 0;
}

static int teardown(void **state)
{
	struct tree_world *tw = *state;

	tree_world_remove(tw);
	free(tw);
	return 0;
}

static void an_empty_layer_has_no_lines(void **state)
{
	struct tree_world *tw = *state;

	tree_start(tw, 100);
	assert_false(tree_is_settled(tw->tree));
	assert_false(tree_is_complete(tw->tree));
	settle(tw);
	assert_true(tree_is_complete(tw->tree));
	assert_lines(tw, "");
}

static void the_first_scan_finds_everything_and_calls_it_initial(void **state)
{
	struct tree_world *tw = *state;

	put_dir(upper(tw, "img"));
	put_file(upper(tw, "img/f"), "changed");
	put_dir(upper(tw, "new"));
	put_file(upper(tw, "new/x"), "x");
	put_whiteout(upper(tw, "img/f2"));
	put_whiteout(upper(tw, "nothing"));
	tree_start(tw, 100);
	settle(tw);
	assert_lines(tw, "A /new\nA /new/x\nC /img\nD /img/f2\n");
	/* Equal by stat, but not in content. */
	assert_non_null(find_change(tw, "/img/f", TREE_CHANGE_APPEARED | TREE_CHANGE_INITIAL));
	assert_non_null(find_change(tw, "/img/f2", TREE_CHANGE_WHITEOUT | TREE_CHANGE_INITIAL));
}

static void added_changed_and_removed_are_followed(void **state)
{
	struct tree_world *tw = *state;

	start(tw);
	put_dir(upper(tw, "img"));
	put_file(upper(tw, "img/f"), "longer content");
	catch_up(tw);
	assert_lines(tw, "C /img\nC /img/f\n");

	put_file(upper(tw, "new"), "x");
	catch_up(tw);
	assert_lines(tw, "A /new\nC /img\nC /img/f\n");

	remove(upper(tw, "img/f"));
	put_whiteout(upper(tw, "img/f"));
	catch_up(tw);
	assert_lines(tw, "A /new\nC /img\nD /img/f\n");

	remove(upper(tw, "img/f"));
	put_file(upper(tw, "img/f"), "content");
	remove(upper(tw, "new"));
	catch_up(tw);
	assert_lines(tw, "");
}

static void an_opaque_directory_deletes_what_it_lacks(void **state)
{
	struct tree_world *tw = *state;

	start(tw);
	put_dir(upper(tw, "img"));
	put_dir(upper(tw, "img/d"));
	put_dir(upper(tw, "img/d/sub"));
	put_file(upper(tw, "img/d/z"), "z");
	catch_up(tw);
	assert_lines(tw, "A /img/d/z\nC /img\nC /img/d\n");

	/* What is beneath an opaque directory is not merged either. */
	set_opaque(upper(tw, "img/d"));
	catch_up(tw);
	assert_lines(tw, "A /img/d/z\nC /img\nC /img/d\nC /img/d/sub\nD /img/d/a\nD /img/d/b\n"
			 "D /img/d/sub/c\n");
	assert_non_null(find_change(tw, "/img/d", TREE_CHANGE_OPAQUE));

	assert_int_equal(removexattr(upper(tw, "img/d"), "trusted.overlay.opaque"), 0);
	catch_up(tw);
	assert_lines(tw, "A /img/d/z\nC /img\nC /img/d\n");
}

static void a_file_in_the_place_of_a_directory_and_the_reverse(void **state)
{
	struct tree_world *tw = *state;

	start(tw);
	put_dir(upper(tw, "img"));
	put_dir(upper(tw, "img/f"));
	put_file(upper(tw, "img/f/x"), "x");
	put_file(upper(tw, "img/d"), "file");
	catch_up(tw);
	assert_lines(tw, "A /img/f/x\nC /img\nC /img/d\nC /img/f\n");
}

static void a_rename_keeps_history_and_names_the_old_path(void **state)
{
	struct tree_world *tw = *state;
	const struct change_seen *c;
	struct tree_node_info info;
	const struct tree_cause early = {7, 1000}, late = {8, 2000};

	start(tw);
	tw->cause = early;
	put_dir(upper(tw, "dir"));
	put_file(upper(tw, "one"), "x");
	catch_up(tw);
	tree_node_add_writes(tree_find_path(tw->tree, "/one", 4), 5, 2, &early, &late);

	tw->cause = late;
	forget_changes(tw);
	assert_int_equal(rename(upper(tw, "one"), upper(tw, "dir/two")), 0);
	catch_up(tw);
	c = find_change(tw, "/dir/two", TREE_CHANGE_APPEARED | TREE_CHANGE_RENAMED);
	assert_non_null(c);
	assert_string_equal(c->old_path, "/one");
	assert_null(find_change(tw, "/one", TREE_CHANGE_VANISHED));

	tree_node_info(tree_find_path(tw->tree, "/dir/two", 8), &info);
	assert_int_equal(info.written_bytes, 5);
	assert_int_equal(info.write_calls, 2);
	assert_int_equal(info.first_writer, 7);
	assert_int_equal(info.first_wall_ns, 1000);
	assert_int_equal(info.last_writer, 8);
}

static void a_renamed_directory_takes_its_children_along(void **state)
{
	struct tree_world *tw = *state;
	const struct change_seen *c;

	start(tw);
	put_dir(upper(tw, "a"));
	put_dir(upper(tw, "a/b"));
	put_file(upper(tw, "a/b/x"), "x");
	put_file(upper(tw, "a/y"), "x");
	catch_up(tw);
	forget_changes(tw);
	assert_int_equal(rename(upper(tw, "a"), upper(tw, "z")), 0);
	catch_up(tw);
	assert_lines(tw, "A /z\nA /z/b\nA /z/b/x\nA /z/y\n");
	c = find_change(tw, "/z/b/x", TREE_CHANGE_RENAMED);
	assert_non_null(c);
	assert_string_equal(c->old_path, "/a/b/x");
	assert_null(find_change(tw, "/a/b/x", TREE_CHANGE_VANISHED));
	assert_null(find_change(tw, "/a", TREE_CHANGE_VANISHED));
}

static void a_replacing_rename_is_one_change_of_the_name(void **state)
{
	struct tree_world *tw = *state;
	const struct change_seen *c;

	start(tw);
	put_dir(upper(tw, "img"));
	put_file(upper(tw, "img/f"), "old content");
	put_file(upper(tw, "img/f.tmp"), "new");
	catch_up(tw);
	forget_changes(tw);
	assert_int_equal(rename(upper(tw, "img/f.tmp"), upper(tw, "img/f")), 0);
	catch_up(tw);
	c = find_change(tw, "/img/f", TREE_CHANGE_APPEARED | TREE_CHANGE_RENAMED);
	assert_non_null(c);
	assert_string_equal(c->old_path, "/img/f.tmp");
	assert_int_equal(c->before, TREE_MODIFIED);
	assert_int_equal(c->after, TREE_MODIFIED);
	assert_null(find_change(tw, "/img/f", TREE_CHANGE_VANISHED));
	assert_null(find_change(tw, "/img/f.tmp", TREE_CHANGE_VANISHED));
}

static void a_hard_link_is_told_from_a_rename(void **state)
{
	struct tree_world *tw = *state;
	const struct change_seen *c;
	struct tree_counts counts;

	start(tw);
	put_file(upper(tw, "one"), "12345");
	catch_up(tw);
	assert_int_equal(link(upper(tw, "one"), upper(tw, "two")), 0);
	catch_up(tw);
	c = find_change(tw, "/two", TREE_CHANGE_APPEARED | TREE_CHANGE_LINKED);
	assert_non_null(c);
	assert_string_equal(c->old_path, "/one");
	assert_lines(tw, "A /one\nA /two\n");
	tree_counts(tw->tree, &counts);
	assert_int_equal(counts.bytes, 5);

	/* One of two names moves. */
	forget_changes(tw);
	assert_int_equal(rename(upper(tw, "two"), upper(tw, "three")), 0);
	catch_up(tw);
	c = find_change(tw, "/three", TREE_CHANGE_RENAMED);
	assert_non_null(c);
	assert_string_equal(c->old_path, "/two");
}

static void a_new_file_with_an_old_inode_number_is_no_rename(void **state)
{
	struct tree_world *tw = *state;
	struct stat a, b;
	int i;

	start(tw);
	put_file(upper(tw, "one"), "x");
	catch_up(tw);
	stat(upper(tw, "one"), &a);
	/* ext4 hands a freed number out again soon. */
	for (i = 0; i < 100; i++) {
		remove(upper(tw, "one"));
		remove(upper(tw, "two"));
		usleep(5000);
		put_file(upper(tw, "two"), "y");
		stat(upper(tw, "two"), &b);
		if (a.st_ino == b.st_ino)
			break;
	}
	forget_changes(tw);
	catch_up(tw);
	assert_lines(tw, "A /two\n");
	assert_non_null(find_change(tw, "/two", TREE_CHANGE_APPEARED));
	assert_null(find_change(tw, "/two", TREE_CHANGE_RENAMED));
	assert_non_null(find_change(tw, "/one", TREE_CHANGE_VANISHED));
}

static void a_removed_tree_vanishes_name_by_name(void **state)
{
	struct tree_world *tw = *state;

	start(tw);
	put_dir(upper(tw, "a"));
	put_dir(upper(tw, "a/b"));
	put_file(upper(tw, "a/b/x"), "x");
	catch_up(tw);
	forget_changes(tw);
	tw->cause = (struct tree_cause){3, 500};
	remove(upper(tw, "a/b/x"));
	remove(upper(tw, "a/b"));
	remove(upper(tw, "a"));
	catch_up(tw);
	assert_lines(tw, "");
	assert_non_null(find_change(tw, "/a", TREE_CHANGE_VANISHED));
	assert_non_null(find_change(tw, "/a/b", TREE_CHANGE_VANISHED));
	assert_non_null(find_change(tw, "/a/b/x", TREE_CHANGE_VANISHED));
	assert_int_equal(find_change(tw, "/a/b/x", TREE_CHANGE_VANISHED)->writer, 3);
	assert_int_equal(find_change(tw, "/a/b/x", TREE_CHANGE_VANISHED)->before, TREE_ADDED);
}

static void changed_attributes_are_named(void **state)
{
	static const char cap[20] = {1, 0, 0, 2, 0, 0x20};
	struct tree_world *tw = *state;

	start(tw);
	put_dir(upper(tw, "img"));
	put_file(upper(tw, "img/f"), "content");
	catch_up(tw);
	forget_changes(tw);

	assert_int_equal(chmod(upper(tw, "img/f"), 0755), 0);
	catch_up(tw);
	assert_non_null(find_change(tw, "/img/f", TREE_CHANGE_MODE | TREE_CHANGE_VERDICT));
	assert_int_equal(chmod(upper(tw, "img/f"), 0644), 0);
	catch_up(tw);
	assert_lines(tw, "");
	assert_int_equal(chown(upper(tw, "img/f"), 5, 6), 0);
	catch_up(tw);
	assert_non_null(find_change(tw, "/img/f", TREE_CHANGE_OWNER));
	assert_int_equal(chown(upper(tw, "img/f"), 0, 0), 0);
	assert_int_equal(setxattr(upper(tw, "img/f"), "security.capability", cap, sizeof(cap), 0),
			 0);
	catch_up(tw);
	assert_non_null(find_change(tw, "/img/f", TREE_CHANGE_CAPABILITY));
	assert_lines(tw, "C /img\nC /img/f\n");
	forget_changes(tw);
	assert_int_equal(removexattr(upper(tw, "img/f"), "security.capability"), 0);
	assert_int_equal(truncate(upper(tw, "img/f"), 3), 0);
	catch_up(tw);
	assert_non_null(find_change(tw, "/img/f",
				    TREE_CHANGE_SIZE | TREE_CHANGE_MTIME | TREE_CHANGE_CAPABILITY));

	assert_int_equal(link(upper(tw, "img/f"), upper(tw, "img/g")), 0);
	catch_up(tw);
	forget_changes(tw);
	assert_int_equal(unlink(upper(tw, "img/g")), 0);
	catch_up(tw);
	assert_non_null(find_change(tw, "/img/f", TREE_CHANGE_CTIME | TREE_CHANGE_NLINK));
}

static struct tree_node_info info_of(struct tree_world *tw, const char *path)
{
	struct tree_node *n = tree_find_path(tw->tree, path, strlen(path));
	struct tree_node_info info;

	assert_non_null(n);
	tree_node_info(n, &info);
	return info;
}

static void touched_is_told_from_tampered(void **state)
{
	struct tree_world *tw = *state;
	struct tree_counts counts;
	char *all;

	start(tw);
	put_dir(upper(tw, "img"));
	put_file(upper(tw, "img/f"), "content");
	put_file(upper(tw, "img/f2"), "CONTENT2"); /* same size, time put back */
	catch_up(tw);
	assert_lines(tw, "");
	assert_int_equal(info_of(tw, "/img/f").depth, TREE_TOUCHED);
	assert_int_equal(info_of(tw, "/img/f2").depth, TREE_TAMPERED);
	tree_counts(tw->tree, &counts);
	assert_int_equal(counts.tampered, 1);
	assert_int_equal(counts.touched, 2); /* with the directory */
	all = tree_text(tw, true);
	assert_string_equal(all, "  /img\n  /img/f\n  /img/f2\n");
	free(all);

	/* Neither in stat nor in content. */
	assert_int_equal(setxattr(upper(tw, "img/f"), "user.x", "1", 1, 0), 0);
	catch_up(tw);
	assert_int_equal(info_of(tw, "/img/f").depth, TREE_TAMPERED);
	assert_int_equal(removexattr(upper(tw, "img/f"), "user.x"), 0);
	catch_up(tw);
	assert_int_equal(info_of(tw, "/img/f").depth, TREE_TOUCHED);

	put_file(upper(tw, "img/f"), "Content");
	catch_up(tw);
	assert_int_equal(info_of(tw, "/img/f").depth, TREE_TAMPERED);
}

static void counts_are_those_of_the_lines(void **state)
{
	struct tree_world *tw = *state;
	struct tree_counts counts;

	start(tw);
	put_dir(upper(tw, "img"));
	put_dir(upper(tw, "img/d"));
	set_opaque(upper(tw, "img/d"));
	put_file(upper(tw, "img/d/x"), "12345");
	chmod(upper(tw, "img/d/x"), 0755);
	put_file(upper(tw, "img/f"), "123");
	put_whiteout(upper(tw, "img/f2"));
	put_whiteout(upper(tw, "nothing"));
	catch_up(tw);
	assert_lines(tw, "A /img/d/x\nC /img\nC /img/d\nC /img/f\nD /img/d/a\nD /img/d/b\n"
			 "D /img/d/sub\nD /img/f2\n");
	tree_counts(tw->tree, &counts);
	assert_int_equal(counts.added, 1);
	assert_int_equal(counts.modified, 3);
	assert_int_equal(counts.deleted, 4);
	assert_int_equal(counts.executables, 1);
	assert_int_equal(counts.bytes, 8);
	assert_int_equal(counts.nodes, 6);
}

static void nodes_are_found_by_inode_and_path(void **state)
{
	struct tree_world *tw = *state;
	struct tree_node *n;
	struct strbuf path = STRBUF_INIT;
	struct stat st;

	start(tw);
	put_dir(upper(tw, "a"));
	put_file(upper(tw, "a/b"), "x");
	catch_up(tw);
	stat(upper(tw, "a/b"), &st);
	n = tree_find_ino(tw->tree, st.st_ino);
	assert_non_null(n);
	assert_ptr_equal(n, tree_find_path(tw->tree, "/a/b", 4));
	tree_node_path(n, &path);
	assert_string_equal(strbuf_str(&path), "/a/b");
	strbuf_done(&path);
	assert_null(tree_find_path(tw->tree, "/a/c", 4));
	assert_null(tree_find_path(tw->tree, "/a/b/c", 6));
	assert_null(tree_find_ino(tw->tree, 1));
}

/* Its image is nowhere else: there is nothing to compare with. */
static void a_write_to_the_image_of_a_plain_directory_compares_nothing(void **state)
{
	struct tree_cause cause = {.wall_ns = 5};
	struct tree_world tw;
	struct tree_node *node;

	(void)state;
	tree_world_make(&tw, 0);
	put_dir(upper(&tw, "d"));
	put_file(upper(&tw, "d/f"), "x");
	tw.image_wall_ns = clock_wall_ns() + NS_PER_SEC;
	tree_start(&tw, 100);
	settle(&tw);
	node = tree_find_path(tw.tree, "/d/f", 4);
	assert_non_null(node);
	tree_node_add_writes(node, 4, 1, &cause, &cause);
	settle(&tw);
	assert_lines(&tw, "");
	tree_world_remove(&tw);
}

/* Some events come before their effect. */
static void a_mark_can_ask_to_look_twice(void **state)
{
	struct tree_world *tw = *state;
	struct stat st;
	int ms;

	start(tw);
	put_dir(upper(tw, "img"));
	put_file(upper(tw, "img/f"), "content");
	catch_up(tw);
	stat(upper(tw, "img/f"), &st);
	tree_mark(tw->tree, st.st_ino, NULL, true);
	ms = tree_work(tw->tree, 0);
	assert_true(ms > 50 && ms <= 100);
	assert_false(tree_is_settled(tw->tree));
	assert_int_equal(chmod(upper(tw, "img/f"), 0600), 0);
	/* A plain mark in between does not use up the second look. */
	tree_mark(tw->tree, st.st_ino, NULL, false);
	tree_work(tw->tree, 0);
	assert_lines(tw, "C /img\nC /img/f\n");
	assert_int_equal(chmod(upper(tw, "img/f"), 0644), 0);
	settle(tw);
	assert_lines(tw, "");
}

/* It had begun when the file was first seen: the first look can come too early. */
static void what_had_begun_when_it_was_watched_is_looked_at_twice(void **state)
{
	struct tree_world *tw = *state;

	start(tw);
	tw->is_begun = true;
	put_file(upper(tw, "new"), "x");
	notice(tw);
	while (!tree_find_path(tw->tree, "/new", 4))
		tree_work(tw->tree, 0);
	assert_lines(tw, "A /new\n");
	assert_false(tree_is_settled(tw->tree));
	forget_changes(tw);
	assert_int_equal(chmod(upper(tw, "new"), 0755), 0); /* no event tells of it */
	settle(tw);
	assert_non_null(find_change(tw, "/new", TREE_CHANGE_MODE));
}

static void whiteouts_by_attribute_count_in_a_directory_marked_for_them(void **state)
{
	struct tree_world *tw = *state;

	put_dir(upper(tw, "img"));
	put_file(upper(tw, "img/f"), "");
	assert_int_equal(setxattr(upper(tw, "img/f"), "trusted.overlay.whiteout", "", 0, 0), 0);
	start(tw);
	assert_lines(tw, "C /img\nC /img/f\n");
	assert_int_equal(setxattr(upper(tw, "img"), "trusted.overlay.opaque", "x", 1, 0), 0);
	tree_rescan(tw->tree);
	catch_up(tw);
	assert_lines(tw, "C /img\nD /img/f\n");
}

static void names_are_bytes(void **state)
{
	struct tree_world *tw = *state;
	char name[256];

	start(tw);
	memset(name, 'n', 255);
	name[255] = '\0';
	put_file(upper(tw, name), "");
	put_file(upper(tw, "line\nbreak"), "");
	put_file(upper(tw, "\xff\x01"), "");
	catch_up(tw);
	assert_non_null(tree_find_path(tw->tree, "/\xff\x01", 3));
	assert_null(tree_find_path(tw->tree, "/\xff", 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_empty_layer_has_no_lines, setup, teardown),
		cmocka_unit_test_setup_teardown(
			the_first_scan_finds_everything_and_calls_it_initial, setup, teardown),
		cmocka_unit_test_setup_teardown(added_changed_and_removed_are_followed, setup,
						teardown),
		cmocka_unit_test_setup_teardown(an_opaque_directory_deletes_what_it_lacks, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_file_in_the_place_of_a_directory_and_the_reverse,
						setup, teardown),
		cmocka_unit_test_setup_teardown(a_rename_keeps_history_and_names_the_old_path,
						setup, teardown),
		cmocka_unit_test_setup_teardown(a_renamed_directory_takes_its_children_along, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_replacing_rename_is_one_change_of_the_name, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_hard_link_is_told_from_a_rename, setup, teardown),
		cmocka_unit_test_setup_teardown(a_new_file_with_an_old_inode_number_is_no_rename,
						setup, teardown),
		cmocka_unit_test_setup_teardown(a_removed_tree_vanishes_name_by_name, setup,
						teardown),
		cmocka_unit_test_setup_teardown(changed_attributes_are_named, setup, teardown),
		cmocka_unit_test_setup_teardown(touched_is_told_from_tampered, setup, teardown),
		cmocka_unit_test_setup_teardown(counts_are_those_of_the_lines, setup, teardown),
		cmocka_unit_test_setup_teardown(nodes_are_found_by_inode_and_path, setup, teardown),
		cmocka_unit_test(a_write_to_the_image_of_a_plain_directory_compares_nothing),
		cmocka_unit_test_setup_teardown(a_mark_can_ask_to_look_twice, setup, teardown),
		cmocka_unit_test_setup_teardown(
			what_had_begun_when_it_was_watched_is_looked_at_twice, setup, teardown),
		cmocka_unit_test_setup_teardown(
			whiteouts_by_attribute_count_in_a_directory_marked_for_them, setup,
			teardown),
		cmocka_unit_test_setup_teardown(names_are_bytes, setup, teardown),
	};

	skip_unless_root();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
