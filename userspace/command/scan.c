/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * scan.c - find the container, open its lower layers, walk the upper one.
 */
#include "command/scan.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "container/registry.h"
#include "layer/scan.h"
#include "layer/stack.h"
#include "ledger/ledger.h"

/* --- which container */

static void on_container(enum registry_change change, const struct container *c, void *arg)
{
	struct ledger *ledger = arg;
	struct ledger_container *known = ledger_find_id(ledger, c->id);
	int err = 0;

	if (change == REGISTRY_REMOVED && known)
		ledger_remove(ledger, known);
	else if (change != REGISTRY_REMOVED && known)
		err = ledger_update(known, c);
	else if (change != REGISTRY_REMOVED)
		err = ledger_add(ledger, c, &known);
	if (err)
		log_warning("container %s is left out: %s", c->id, strerror(-err));
}

static int find_containers(const struct global_options *options, struct ledger *ledger)
{
	const struct registry_options registry_options = {.host_root = options->host_root};
	struct registry *registry;
	int err = registry_open(&registry_options, on_container, ledger, &registry);

	if (err)
		return err;
	err = registry_scan(registry);
	registry_close(registry);
	return err;
}

static void take_match(struct ledger_container *c, void *arg)
{
	const struct ledger_container **match = arg;

	*match = c;
}

/* --- its layer */

static int add_line(char verdict, const char *path, size_t len, void *arg)
{
	struct strbuf *lines = arg;

	strbuf_addc(lines, verdict);
	strbuf_addc(lines, ' ');
	strbuf_add(lines, path, len);
	strbuf_addc(lines, '\0');
	return strbuf_failed(lines) ? -ENOMEM : 0;
}

static int by_path(const void *a, const void *b)
{
	const char *const *line_a = a, *const *line_b = b;

	return strcmp(*line_a + 2, *line_b + 2);
}

static int sort_lines(const struct strbuf *lines, struct strbuf *out)
{
	auto_free const char **index = NULL;
	size_t count = 0, i = 0;

	for (size_t at = 0; at < lines->len; at++)
		count += lines->data[at] == '\0';
	index = calloc(count + 1, sizeof(*index));
	if (!index)
		return -ENOMEM;
	for (size_t at = 0; at < lines->len; at += strlen(lines->data + at) + 1)
		index[i++] = lines->data + at;
	qsort(index, count, sizeof(*index), by_path);
	for (i = 0; i < count; i++)
		strbuf_add(out, index[i], strlen(index[i]) + 1);
	return strbuf_failed(out) ? -ENOMEM : 0;
}

static int scan_layer(const struct global_options *options, const struct container *c,
		      struct strbuf *out)
{
	const struct container_overlay *overlay = &c->overlay;
	auto_strbuf struct strbuf lines = STRBUF_INIT, error = STRBUF_INIT;
	struct layer_stack *stack;
	int err;

	if (!overlay->upper) {
		log_error("%s has no overlay layer to read: %s", container_label(c),
			  c->storage_error ? c->storage_error : "its storage is of another kind");
		return EXIT_CODE_FAILURE;
	}
	if (overlay->is_whole && !overlay->lowers_len) {
		log_error("%s runs in a plain directory: there is no image to compare it with; an "
			  "agent lists what changed (without --scan)",
			  container_label(c));
		return EXIT_CODE_FAILURE;
	}
	if (overlay->unsupported)
		log_warning("%s is mounted with redirect_dir or metacopy: the list may lack "
			    "something",
			    container_label(c));
	err = layer_stack_open(options->host_root, overlay->lowers, overlay->lowers_len, &error,
			       &stack);
	if (err) {
		log_error("%s", error.len ? strbuf_str(&error) : strerror(-err));
		return command_exit_code(err);
	}
	layer_stack_set_whole(stack, overlay->is_whole);
	err = layer_scan(options->host_root, overlay->upper, stack, add_line, &lines);
	layer_stack_close(stack);
	if (!err)
		err = sort_lines(&lines, out);
	return err ? command_fail(err, "cannot read the layer of %s", container_label(c))
		   : EXIT_CODE_OK;
}

int scan_diff(const struct global_options *options, const char *reference, struct strbuf *out)
{
	auto_strbuf struct strbuf error = STRBUF_INIT;
	const struct ledger_container *match = NULL;
	struct ledger *ledger;
	int err, code;

	if (geteuid() != 0) {
		log_error("--scan reads the directories of the runtimes: run this as root");
		return EXIT_CODE_PERMISSION;
	}
	ledger = ledger_new();
	err = ledger ? find_containers(options, ledger) : -ENOMEM;
	if (err)
		code = command_fail(err, "cannot find the containers of this machine");
	else if (ledger_resolve(ledger, reference, true, take_match, &match, &error) == 1 && match)
		code = scan_layer(options, match->meta, out);
	else
		code = EXIT_CODE_FAILURE;
	if (error.len)
		log_error("%s", strbuf_str(&error));
	ledger_free(ledger);
	return code;
}
