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

/* Keeps huge pages out of the program's own buffers, whatever the kernel's defaults say:
 * most of a buffer is never touched, and a huge page is 2 MiB in each process that
 * writes to it. */
void memory_refuse_huge_pages(void);

#endif
