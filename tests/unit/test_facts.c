/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_facts.c - whose word counts when sources differ.
 */
#include "host_world.h"

#include "container/facts.h"

static struct container *said(const char *runtime, const char *name, const char *upper)
{
	struct container *c = container_new(ID_A, runtime);

	c->name = name ? strdup(name) : NULL;
	c->overlay.upper = upper ? strdup(upper) : NULL;
	return c;
}

static struct container *merge_two(struct container *first, struct container *second,
				   struct facts_input *in)
{
	const struct container *all[] = {first, second};
	struct container *c;

	in->id = ID_A;
	in->said = all;
	in->said_len = second ? 2 : 1;
	c = facts_merge(in);
	assert_non_null(c);
	container_free(first);
	container_free(second);
	return c;
}

static void the_runtime_is_believed_before_runc(void **state)
{
	struct facts_input in = {0};
	struct container *c;

	(void)state;
	c = merge_two(said("docker", "web", "/u1"), said("runc", "other", "/u2"), &in);
	assert_string_equal(c->runtime, "docker");
	assert_string_equal(c->name, "web");
	assert_string_equal(c->overlay.upper, "/u1");
	container_free(c);
	/* And a hint of who runs runc before runc itself. */
	in.runtime_hint = "podman";
	c = merge_two(said("runc", NULL, NULL), NULL, &in);
	assert_string_equal(c->runtime, "podman");
	container_free(c);
}

static void the_kernel_tells_device_and_state(void **state)
{
	struct container_overlay mounted = {.upper = (char[]){"/mounted"}, .dev = 7};
	struct container *docker = said("docker", "web", "/u1"), *task = said(NULL, NULL, NULL), *c;
	struct facts_input in = {.task = task, .task_alive = true, .mounted = &mounted};

	(void)state;
	docker->state = CONTAINER_EXITED;
	task->pid = 42;
	task->overlay.dev = 9;
	c = merge_two(docker, NULL, &in);
	assert_int_equal(c->state, CONTAINER_RUNNING);
	assert_int_equal(c->pid, 42);
	assert_int_equal(c->overlay.dev, 7);
	assert_string_equal(c->overlay.upper, "/u1");
	container_free(c);

	docker = said("docker", "web", "/u1");
	docker->state = CONTAINER_RUNNING;
	docker->pid = 42;
	in.task_alive = false;
	in.mounted = NULL;
	c = merge_two(docker, NULL, &in);
	assert_int_equal(c->state, CONTAINER_EXITED);
	assert_int_equal(c->pid, 0);
	assert_int_equal(c->overlay.dev, 0);
	container_free(c);
	container_free(task);
}

static void a_start_written_late_does_not_hide_the_new_one(void **state)
{
	struct container *docker = said("docker", "web", "/u1"), *task = said(NULL, NULL, NULL), *c;
	struct facts_input in = {.task = task, .task_alive = true};

	(void)state;
	docker->started_wall_ns = 100;
	task->started_wall_ns = 200;
	c = merge_two(docker, NULL, &in);
	assert_int_equal(c->started_wall_ns, 200);
	container_free(c);
	docker = said("docker", "web", "/u1");
	docker->started_wall_ns = 250;
	c = merge_two(docker, NULL, &in);
	assert_int_equal(c->started_wall_ns, 250);
	assert_int_equal(c->finished_wall_ns, 0);
	container_free(c);
	container_free(task);
}

static void what_was_known_outlives_the_files_that_told_it(void **state)
{
	struct container *before = said("containerd", "c1", "/u1"), *c;
	struct facts_input in = {.before = before, .seen_exit_wall_ns = 900};

	(void)state;
	before->state = CONTAINER_RUNNING;
	before->image = strdup("eco:1");
	before->created_wall_ns = 50;
	before->started_wall_ns = 100;
	c = merge_two(container_new(ID_A, NULL), NULL, &in);
	assert_string_equal(c->runtime, "containerd");
	assert_string_equal(c->name, "c1");
	assert_string_equal(c->image, "eco:1");
	assert_string_equal(c->overlay.upper, "/u1");
	assert_int_equal(c->created_wall_ns, 50);
	assert_int_equal(c->state, CONTAINER_EXITED);
	assert_int_equal(c->finished_wall_ns, 900);
	container_free(c);
	container_free(before);
}

static void a_name_that_was_chosen_as_id_is_the_name(void **state)
{
	struct container *c = container_new("mine", "runc");
	struct facts_input in = {0};
	const struct container *all[] = {c};
	struct container *merged;

	(void)state;
	in.id = "mine";
	in.said = all;
	in.said_len = 1;
	merged = facts_merge(&in);
	assert_string_equal(merged->name, "mine");
	container_free(merged);
	container_free(c);
	c = merge_two(said("docker", NULL, "/u"), NULL, &in);
	assert_null(c->name);
	assert_string_equal(container_label(c), "aaaaaaaaaaaa");
	container_free(c);
}

static struct container *full(void)
{
	struct container *c = said("docker", "web", "/u1");

	c->image = strdup("eco:1");
	c->cgroup_path = strdup("/docker/x");
	c->cgroup_ids = calloc(1, sizeof(*c->cgroup_ids));
	c->cgroup_ids[0] = 5;
	c->cgroup_ids_len = 1;
	c->overlay.lowers = calloc(1, sizeof(char *));
	c->overlay.lowers[0] = strdup("/l");
	c->overlay.lowers_len = 1;
	c->mounts = calloc(1, sizeof(*c->mounts));
	c->mounts[0].destination = strdup("/data");
	c->mounts_len = 1;
	return c;
}

static void every_difference_is_noticed(void **state)
{
	struct container *a = full(), *b = container_copy(a);

	(void)state;
	assert_true(facts_equal(a, b));
#define DIFFERS(change, undo)                    \
	do {                                     \
		change;                          \
		assert_false(facts_equal(a, b)); \
		undo;                            \
		assert_true(facts_equal(a, b));  \
	} while (0)
	DIFFERS(b->pid = 1, b->pid = 0);
	DIFFERS(b->state = CONTAINER_PAUSED, b->state = a->state);
	DIFFERS(b->name[0] = 'x', b->name[0] = 'w');
	DIFFERS(b->overlay.dev = 1, b->overlay.dev = 0);
	DIFFERS(b->overlay.lowers[0][1] = 'x', b->overlay.lowers[0][1] = 'l');
	DIFFERS(b->cgroup_ids[0] = 6, b->cgroup_ids[0] = 5);
	DIFFERS(b->mounts[0].root_ino = 6, b->mounts[0].root_ino = 0);
	DIFFERS(b->mounts[0].destination[1] = 'x', b->mounts[0].destination[1] = 'd');
	DIFFERS(b->finished_wall_ns = 6, b->finished_wall_ns = 0);
	DIFFERS(b->privileged = true, b->privileged = false);
#undef DIFFERS
	container_free(a);
	container_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_runtime_is_believed_before_runc),
		cmocka_unit_test(the_kernel_tells_device_and_state),
		cmocka_unit_test(a_start_written_late_does_not_hide_the_new_one),
		cmocka_unit_test(what_was_known_outlives_the_files_that_told_it),
		cmocka_unit_test(a_name_that_was_chosen_as_id_is_the_name),
		cmocka_unit_test(every_difference_is_noticed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
