/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * memory.c - see memory.h.
 */
#include "base/memory.h"

#include <link.h>
#include <malloc.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Loaded from a file and never written to, relocations included. */
static int drop_segments(struct dl_phdr_info *info, size_t size, void *arg)
{
	const uintptr_t page = *(const uintptr_t *)arg;

	(void)size;
	if (!strncmp(info->dlpi_name, "linux-", strlen("linux-"))) /* the vDSO is no file */
		return 0;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
		uintptr_t start = info->dlpi_addr + segment->p_vaddr;
		uintptr_t end = start + segment->p_filesz;

		if (segment->p_type != PT_LOAD || segment->p_flags & PF_W)
			continue;
		start &= ~(page - 1);
		madvise((void *)start, end - start, MADV_DONTNEED); /* a hint: may be refused */
	}
	return 0;
}

void memory_trim(void)
{
	malloc_trim(0);
}

void memory_give_back(void)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

	memory_trim();
	dl_iterate_phdr(drop_segments, &page);
}
