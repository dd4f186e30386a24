/*
 * SPDX-License-Identifier: MIT
 */
#include "platform/memory.h"

#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/* Symbols of the linker: they bound the buffers that begin as zero. */
extern char __bss_start[];
extern char _end[];

static void
memory_advise(void *from, size_t len, int advice)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t before = -(uintptr_t)from & (page - 1);
	size_t after = ((uintptr_t)from + len) & (page - 1);

	if (before + after < len)
		(void)madvise((char *)from + before, len - before - after, advice);
}

void
memory_give_back(void *from, size_t len)
{
	memory_advise(from, len, MADV_DONTNEED);
}

void
memory_refuse_huge_pages(void)
{
	memory_advise(__bss_start, (uintptr_t)_end - (uintptr_t)__bss_start, MADV_NOHUGEPAGE);
}
