/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * render_event.h - one event (driftwatch.event/1) as a line for people.
 *
 *	14:02:31.255  web1  ADD  create  /usr/local/bin/x  0755 0:0 4.0Ki  by sh[7] (uid 1000)
 *
 * Names are escaped for a terminal wherever the line goes: a newline in a name must
 * not make a second line. A "~" before the op says that it was derived from the
 * verified layer, not seen by a hook.
 */
#ifndef RENDER_EVENT_H
#define RENDER_EVENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/strbuf.h"

struct event_style {
	bool color;
	bool align;	   /* pad names, so that columns stand below each other */
	size_t name_width; /* widest container name so far; grows, to a bound */
};

/* Append the line, without a newline. An object that is no event gives an empty line. */
void render_event(struct strbuf *out, const json_t *event, struct event_style *style);

#endif /* RENDER_EVENT_H */
