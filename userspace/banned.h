/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * banned.h - calls that have overrun too many buffers to be used again.
 *
 * The Makefile includes it before every file under userspace/. The headers that
 * declare these names come first, since a poisoned name may not even be declared.
 */
#ifndef BANNED_H
#define BANNED_H

#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#pragma GCC poison strcpy strcat sprintf vsprintf strncpy strncat strtok atoi atol gets

#endif /* BANNED_H */
