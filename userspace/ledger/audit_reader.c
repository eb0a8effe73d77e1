/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * audit_reader.c - the thread that reads a layer, see audit_reader.h.
 *
 * One mutex guards what both sides touch; it is never held over a system call on the
 * layer.
 */
#include "ledger/audit_reader.h"

#include <errno.h>
#include <linux/ioprio.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "layer/scan.h"

#define BLOCKS	    8
#define BLOCK_BYTES 65536
#define STACK_BYTES (512u << 10)

struct block {
	char *data;
	size_t len;
};

struct audit_reader {
	char *upper, *host_root;
	char **lowers;
	size_t lowers_len;
	bool is_urgent, is_whole;
	pthread_t thread;
	bool has_thread;
	struct strbuf filling; /* the thread's own */

	pthread_mutex_t lock; /* of all below */
	pthread_cond_t changed;
	struct block blocks[BLOCKS];
	size_t first, len;
	bool should_stop, scan_is_over;
	int scan_err;
	struct audit_task *const *tasks; /* NULL: nothing to look at */
	size_t tasks_len;
};

/* --- the thread */

static void be_nice(bool is_urgent)
{
	sigset_t all;

	/* Signals are the main thread's. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	if (is_urgent)
		return;
	setpriority(PRIO_PROCESS, 0, 19); /* of this thread alone */
	syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0));
}

/* Hand over what was filled, waiting for room. 0, -ECANCELED or -ENOMEM. */
static int hand_over(struct audit_reader *r)
{
	size_t len = r->filling.len;
	char *data;
	int err = 0;

	if (strbuf_failed(&r->filling))
		return -ENOMEM;
	if (!len)
		return 0;
	data = strbuf_take(&r->filling);
	pthread_mutex_lock(&r->lock);
	while (r->len == BLOCKS && !r->should_stop)
		pthread_cond_wait(&r->changed, &r->lock);
	if (r->should_stop)
		err = -ECANCELED;
	else
		r->blocks[(r->first + r->len++) % BLOCKS] = (struct block){data, len};
	pthread_mutex_unlock(&r->lock);
	if (err)
		free(data);
	return err;
}

static bool should_stop(struct audit_reader *r)
{
	bool stop;

	pthread_mutex_lock(&r->lock);
	stop = r->should_stop;
	pthread_mutex_unlock(&r->lock);
	return stop;
}

static int on_line(char verdict, const char *path, size_t len, void *arg)
{
	struct audit_reader *r = arg;

	if (verdict == ' ')
		return should_stop(r) ? -ECANCELED : 0;
	strbuf_addc(&r->filling, verdict);
	strbuf_add(&r->filling, path, len);
	strbuf_addc(&r->filling, '\0');
	if (r->filling.len < BLOCK_BYTES && !strbuf_failed(&r->filling))
		return should_stop(r) ? -ECANCELED : 0;
	return hand_over(r);
}

static int scan(struct audit_reader *r, struct layer_stack *stack)
{
	int err = layer_scan_telling(NULL, r->upper, stack, on_line, r);

	return err ? err : hand_over(r);
}

static void look_at_all(const struct layer_looker *looker, struct audit_task *const *tasks,
			size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		tasks[i]->err = layer_look(looker, tasks[i]->path, &tasks[i]->look);
}

/* Wait for lists of paths until told to stop. */
static void look_on_demand(struct audit_reader *r, const struct layer_looker *looker)
{
	struct audit_task *const *tasks;
	size_t len;

	pthread_mutex_lock(&r->lock);
	for (;;) {
		while (!r->tasks && !r->should_stop)
			pthread_cond_wait(&r->changed, &r->lock);
		if (r->should_stop)
			break;
		tasks = r->tasks;
		len = r->tasks_len;
		pthread_mutex_unlock(&r->lock);
		look_at_all(looker, tasks, len);
		layer_stack_idle(looker->stack);
		pthread_mutex_lock(&r->lock);
		r->tasks = NULL;
	}
	pthread_mutex_unlock(&r->lock);
}

static void *run(void *arg)
{
	struct audit_reader *r = arg;
	auto_release(layer_looker_done) struct layer_looker looker = {.rootfd = -1};
	struct layer_stack *stack = NULL;
	int err;

	be_nice(r->is_urgent);
	err = layer_stack_open(r->host_root, r->lowers, r->lowers_len, NULL, &stack);
	if (!err)
		layer_stack_set_whole(stack, r->is_whole);
	if (!err)
		err = layer_looker_open(r->upper, stack, &looker);
	if (!err)
		err = scan(r, stack);
	pthread_mutex_lock(&r->lock);
	r->scan_is_over = true;
	r->scan_err = err;
	pthread_mutex_unlock(&r->lock);
	if (!err)
		look_on_demand(r, &looker);
	layer_stack_close(stack);
	return NULL;
}

/* --- the others */

static int copy_options(struct audit_reader *r, const struct audit_reader_options *o)
{
	size_t i;

	r->is_urgent = o->is_urgent;
	r->is_whole = o->is_whole;
	r->upper = strdup(o->upper);
	r->host_root = strdup(o->host_root ? o->host_root : "");
	r->lowers = calloc(o->lowers_len + 1, sizeof(*r->lowers));
	if (!r->upper || !r->host_root || !r->lowers)
		return -ENOMEM;
	for (i = 0; i < o->lowers_len; i++) {
		r->lowers[i] = strdup(o->lowers[i]);
		if (!r->lowers[i])
			return -ENOMEM;
		r->lowers_len++;
	}
	return 0;
}

int audit_reader_begin(const struct audit_reader_options *options, struct audit_reader **ret)
{
	struct audit_reader *r = calloc(1, sizeof(*r));
	pthread_attr_t attributes;
	int err;

	if (!r)
		return -ENOMEM;
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->changed, NULL);
	err = copy_options(r, options);
	if (!err) {
		pthread_attr_init(&attributes);
		pthread_attr_setstacksize(&attributes, STACK_BYTES);
		err = -pthread_create(&r->thread, &attributes, run, r);
		pthread_attr_destroy(&attributes);
		r->has_thread = !err;
	}
	if (err) {
		audit_reader_end(r);
		return err;
	}
	*ret = r;
	return 0;
}

struct audit_reader *audit_reader_end(struct audit_reader *r)
{
	size_t i;

	if (!r)
		return NULL;
	pthread_mutex_lock(&r->lock);
	r->should_stop = true;
	pthread_cond_signal(&r->changed);
	pthread_mutex_unlock(&r->lock);
	if (r->has_thread)
		pthread_join(r->thread, NULL);
	for (; r->len; r->len--)
		free(r->blocks[(r->first + r->len - 1) % BLOCKS].data);
	strbuf_done(&r->filling);
	for (i = 0; i < r->lowers_len; i++)
		free(r->lowers[i]);
	free(r->lowers);
	free(r->host_root);
	free(r->upper);
	pthread_cond_destroy(&r->changed);
	pthread_mutex_destroy(&r->lock);
	free(r);
	return NULL;
}

int audit_reader_take(struct audit_reader *r, char **ret, size_t *ret_len)
{
	int found;

	pthread_mutex_lock(&r->lock);
	found = r->len > 0;
	if (found) {
		*ret = r->blocks[r->first].data;
		*ret_len = r->blocks[r->first].len;
		r->first = (r->first + 1) % BLOCKS;
		r->len--;
		pthread_cond_signal(&r->changed);
	} else if (r->scan_is_over) {
		found = r->scan_err ? r->scan_err : -ENODATA;
	}
	pthread_mutex_unlock(&r->lock);
	return found;
}

void audit_reader_look(struct audit_reader *r, struct audit_task *const *tasks, size_t len)
{
	pthread_mutex_lock(&r->lock);
	r->tasks = tasks;
	r->tasks_len = len;
	pthread_cond_signal(&r->changed);
	pthread_mutex_unlock(&r->lock);
}

bool audit_reader_is_done(struct audit_reader *r)
{
	bool done;

	pthread_mutex_lock(&r->lock);
	done = !r->tasks;
	pthread_mutex_unlock(&r->lock);
	return done;
}
