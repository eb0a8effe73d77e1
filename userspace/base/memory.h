/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * memory.h - giving back what only the start, or a burst, needed.
 */
#ifndef MEMORY_H
#define MEMORY_H

/* Free heap goes back to the kernel: what thousands of things took that are gone. */
void memory_trim(void);

/*
 * Free heap goes back to the kernel, and so do pages of the program and its libraries:
 * what is needed again comes back from the page cache, some microseconds a page. Of use
 * once, when a process that lives long has started.
 */
void memory_give_back(void);

#endif /* MEMORY_H */
