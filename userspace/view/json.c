/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * json.c - setters for values that may be hostile bytes, unknown or too large.
 */
#include "view/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/escape.h"
#include "view/view.h"

#define EXACT_IN_DOUBLE (1ull << 53)

int view_set_new(json_t *object, const char *key, json_t *value)
{
	return json_object_set_new_nocheck(object, key, value);
}

int view_set_bool(json_t *object, const char *key, bool value)
{
	return view_set_new(object, key, json_boolean(value));
}

static int set_b64(json_t *object, const char *key, const char *bytes, size_t len)
{
	auto_strbuf struct strbuf name = STRBUF_INIT;
	auto_strbuf struct strbuf encoded = STRBUF_INIT;

	strbuf_addf(&name, "%s_b64", key);
	base64_add(&encoded, bytes, len);
	if (strbuf_failed(&name) || strbuf_failed(&encoded))
		return -1;
	return view_set_new(object, strbuf_str(&name),
			    json_stringn_nocheck(strbuf_str(&encoded), encoded.len));
}

int view_set_bytes(json_t *object, const char *key, const char *bytes, size_t len)
{
	auto_strbuf struct strbuf text = STRBUF_INIT;

	if (utf8_is_valid(bytes, len))
		return view_set_new(object, key, json_stringn_nocheck(bytes, len));

	utf8_add_replaced(&text, bytes, len);
	if (strbuf_failed(&text))
		return -1;
	if (view_set_new(object, key, json_stringn_nocheck(strbuf_str(&text), text.len)))
		return -1;
	return set_b64(object, key, bytes, len);
}

int view_set_text(json_t *object, const char *key, const char *text)
{
	if (!text)
		return view_set_new(object, key, json_null());
	return view_set_bytes(object, key, text, strlen(text));
}

int view_set_time(json_t *object, const char *key, uint64_t wall_ns)
{
	char text[RFC3339_LEN];

	if (!wall_ns)
		return view_set_new(object, key, json_null());
	clock_format_rfc3339(wall_ns, text);
	return view_set_new(object, key, json_string_nocheck(text));
}

int view_set_id(json_t *object, const char *key, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	return view_set_new(object, key, json_string_nocheck(text));
}

int view_set_u64(json_t *object, const char *key, uint64_t value)
{
	if (value > EXACT_IN_DOUBLE)
		return view_set_id(object, key, value);
	return view_set_new(object, key, json_integer((json_int_t)value));
}

json_t *view_k8s(const struct container *meta)
{
	json_t *object;
	int err = 0;

	if (!meta->pod)
		return json_null();
	object = json_object();
	if (!object)
		return NULL;
	err |= view_set_text(object, "namespace", meta->pod_namespace);
	err |= view_set_text(object, "pod", meta->pod);
	err |= view_set_text(object, "pod_uid", meta->pod_uid);
	err |= view_set_text(object, "container", meta->pod_container);
	if (err) {
		json_decref(object);
		return NULL;
	}
	return object;
}

bool view_sees(const struct probe *probe, const struct ledger_container *c, enum probe_sight sight)
{
	if (!probe || !probe_sees(probe, sight))
		return false;
	/* Without a slot of the counters nothing was counted, ever. */
	if (!c->slot && !c->removed_wall_ns)
		return false;
	/* A total that is about to jump would be wrong: shown when it is all there. */
	if (c->counts_pending && sight == PROBE_SEES_LAYER_WRITES)
		return false;
	return !(c->unseen & 1u << sight);
}

enum probe_sight view_sight_of_target(enum dw_target target)
{
	switch (target) {
	case DW_TARGET_LAYER:
		return PROBE_SEES_LAYER_WRITES;
	case DW_TARGET_VOLUME:
		return PROBE_SEES_VOLUME_WRITES;
	case DW_TARGET_TMPFS:
		return PROBE_SEES_TMPFS_WRITES;
	default:
		return PROBE_SEES_OTHER_WRITES;
	}
}

static json_t *incomplete_reasons(const struct ledger_container *c, uint64_t unlisted)
{
	json_t *reasons = json_array();
	int err = 0;

	if (!reasons || ledger_container_is_complete(c))
		return reasons;
	for (int i = 0; i < LOSS_MAX; i++) {
		if (c->incomplete & 1u << i)
			err |= json_array_append_new(reasons, json_string(loss_reason_name(i)));
	}
	if (!c->tree)
		err |= json_array_append_new(reasons, json_string("no_layer"));
	else if (!tree_is_settled(c->tree))
		err |= json_array_append_new(reasons, json_string("reading"));
	if (unlisted)
		err |= json_array_append_new(reasons, json_string("unlisted"));
	if (c->limits)
		err |= json_array_append_new(reasons, json_string("scan_only"));
	if (err) {
		json_decref(reasons);
		return NULL;
	}
	return reasons;
}

int view_set_completeness(json_t *object, const struct ledger_container *c)
{
	struct tree_counts counts = {0};
	int err = 0;

	if (c->tree)
		tree_counts(c->tree, &counts);
	err |= view_set_bool(object, "complete", ledger_container_is_complete(c));
	err |= view_set_time(object, "as_of", c->tree ? tree_as_of_wall_ns(c->tree) : 0);
	err |= view_set_new(object, "incomplete_reasons", incomplete_reasons(c, counts.unlisted));
	err |= view_set_text(object, "limits", c->limits);
	err |= view_set_u64(object, "unlisted", counts.unlisted);
	return err;
}
