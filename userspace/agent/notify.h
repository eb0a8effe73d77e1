/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * notify.h - tell systemd how the agent is doing (sd_notify without libsystemd).
 */
#ifndef AGENT_NOTIFY_H
#define AGENT_NOTIFY_H

#include <stdint.h>

/*
 * Send "READY=1" or the like to $NOTIFY_SOCKET. Returns 1 when sent, 0 when nobody
 * asked for it, or -errno.
 */
int notify_send(const char *state);

int notify_ready(const char *status);
int notify_reloading(void);
int notify_stopping(void);
int notify_watchdog(void);

/* How often to call notify_watchdog(): half of what $WATCHDOG_USEC allows; 0: never. */
uint64_t notify_watchdog_ns(void);

#endif /* AGENT_NOTIFY_H */
