/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * probe_choose.c - which programs are for this kernel, by what its types name.
 */
#include <bpf/btf.h>
#include <errno.h>
#include <string.h>

#include "kernel/probe_internal.h"

struct hook *choose_hook_of(struct probe *p, const char *program)
{
	size_t i;

	for (i = 0; i < hook_def_count; i++)
		if (!strcmp(p->hooks[i].def->program, program))
			return &p->hooks[i];
	return NULL;
}

/* Arguments of the tracepoint whose BTF type is @name, its context pointer not counted. */
static int tracepoint_args(const struct btf *btf, const char *name)
{
	const struct btf_type *t;
	int id = btf__find_by_name_kind(btf, name, BTF_KIND_TYPEDEF);

	if (id < 0)
		return -ENOENT;
	t = btf__type_by_id(btf, btf__type_by_id(btf, (uint32_t)id)->type);
	if (!t || !btf_is_ptr(t))
		return -ENOENT;
	t = btf__type_by_id(btf, t->type);
	if (!t || !btf_is_func_proto(t))
		return -ENOENT;
	return (int)btf_vlen(t) - 1;
}

/* The same of a tracepoint that a module brings, which must have been loaded. */
static int module_tracepoint_args(struct btf *btf, const struct hook_def *def)
{
	struct btf *module = def->module ? btf__load_module_btf(def->module, btf) : NULL;
	int args = module ? tracepoint_args(module, def->btf) : -ENOENT;

	btf__free(module);
	return args;
}

/* Whether a function that fentry or fexit wants has BTF; other hooks show when attached. */
static bool function_is_there(const struct btf *btf, const char *name)
{
	if (strncmp(name, "fe", 2) != 0)
		return true;
	return btf__find_by_name_kind(btf, strchr(name, '/') + 1, BTF_KIND_FUNC) > 0;
}

bool choose_kernel_has(const struct btf *btf, const char *name)
{
	return btf__find_by_name_kind(btf, name, BTF_KIND_TYPEDEF) > 0 ||
	       btf__find_by_name_kind(btf, name, BTF_KIND_FUNC) > 0;
}

bool choose_is_wanted(struct hook *h, enum probe_tier tier, struct btf *btf)
{
	const struct hook_def *def = h->def;
	int args;

	if (h->public.error) /* refused by an earlier try */
		return false;
	if (!(def->tiers & TIER_BIT(tier))) {
		probe_hooks_note(h, 0, "not in this tier");
		return false;
	}
	if (probe_hook_is_left_out(def)) {
		probe_hooks_note(h, 0, "left out by DRIFTWATCH_SKIP_HOOKS");
		return false;
	}
	if (!function_is_there(btf, def->name)) {
		probe_hooks_note(h, 0, "not in this kernel");
		return false;
	}
	args = def->btf ? tracepoint_args(btf, def->btf) : 0;
	args = args < 0 ? module_tracepoint_args(btf, def) : args;
	if (args < 0) {
		probe_hooks_note(h, 0, "not in this kernel");
		return false;
	}
	if ((def->unless && choose_kernel_has(btf, def->unless)) ||
	    (def->unless_too && choose_kernel_has(btf, def->unless_too)) ||
	    (def->min_args && args < (int)def->min_args) ||
	    (def->max_args && args > (int)def->max_args)) {
		probe_hooks_note(h, 0, "for other kernels");
		return false;
	}
	probe_hooks_note(h, 0, NULL);
	return true;
}
