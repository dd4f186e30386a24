/*
 * memory: what a process takes of the kernel's pages, and gives back.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PLATFORM_MEMORY_H
#define PLATFORM_MEMORY_H

#include <stddef.h>

/* Gives back the whole pages within LEN bytes from FROM on, whatever size the kernel's
 * pages have; they read as zero from then on. */
void memory_give_back(void *from, size_t len);

/* Whatever the kernel's defaults say, no huge page in the program's own buffers: most of
 * them are never touched, and one would be 2 MiB in each process that comes to write. */
void memory_refuse_huge_pages(void);

#endif
