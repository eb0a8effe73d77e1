/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * json_verify.c - what a verification found: schema driftwatch.verify/1.
 */
#include <errno.h>
#include <string.h>

#include "view/json.h"
#include "view/view.h"

static json_t *view_mismatch(const struct audit_mismatch *m)
{
	const char *ledger = ledger_verdict_name(m->ledger);
	const char *layer = ledger_verdict_name(m->layer);
	json_t *object = json_object();
	int err = 0;

	if (!object)
		return NULL;
	err |= view_set_bytes(object, "path", m->path, m->path_len);
	err |= view_set_text(object, "ledger", *ledger ? ledger : NULL);
	err |= view_set_text(object, "layer", *layer ? layer : NULL);
	if (err) {
		json_decref(object);
		return NULL;
	}
	return object;
}

static const char *verdict_of(const struct audit_result *r)
{
	if (r->error)
		return "unknown";
	if (r->mismatches)
		return "mismatch";
	return r->unsettled ? "unsettled" : "equal";
}

static const char *reason_of(const struct ledger_container *c, const struct audit_result *r)
{
	if (!r->error)
		return NULL;
	if (r->error == -ENODATA)
		return c->meta->storage_error ? c->meta->storage_error
					      : "no writable layer to read";
	if (r->error == -ENOENT || r->error == -ESTALE)
		return "the layer is gone";
	if (r->error == -EOPNOTSUPP)
		return "there is no image to compare it with";
	return strerror(-r->error);
}

static json_t *view_one(const struct ledger_container *c, const struct audit_result *r)
{
	json_t *object = json_object(), *list = json_array();
	int err = !object || !list;

	for (size_t i = 0; i < r->listed_len && !err; i++)
		err = json_array_append_new(list, view_mismatch(&r->listed[i]));
	err |= view_set_bytes(object, "id", c->meta->id, strlen(c->meta->id));
	err |= view_set_text(object, "name", container_label(c->meta));
	err |= view_set_text(object, "verdict", verdict_of(r));
	err |= view_set_text(object, "reason", reason_of(c, r));
	err |= view_set_text(object, "limits", c->limits);
	err |= view_set_u64(object, "lines", r->lines);
	err |= view_set_u64(object, "unlisted", r->unlisted);
	err |= view_set_u64(object, "unsettled", r->unsettled);
	err |= view_set_u64(object, "mismatches", r->mismatches);
	err |= view_set_u64(object, "wrong_totals", r->wrong_totals);
	err |= view_set_new(object, "listed", list);
	err |= view_set_time(object, "began", r->began_wall_ns);
	err |= view_set_time(object, "ended", r->ended_wall_ns);
	if (err) {
		json_decref(object);
		return NULL;
	}
	return object;
}

json_t *view_verify(const struct ledger_container *c, const struct audit_result *result)
{
	json_t *object = json_object();
	json_t *containers = json_array();
	int err = !object || !containers;

	if (!err)
		err = json_array_append_new(containers, view_one(c, result));
	err |= view_set_new(object, "schema", json_string("driftwatch.verify/1"));
	err |= view_set_new(object, "containers", containers);
	if (err) {
		json_decref(object);
		return NULL;
	}
	return object;
}
