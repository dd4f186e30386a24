/*
 * memory: what a process takes of the kernel's pages, and gives back.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PLATFORM_MEMORY_H
#define PLATFORM_MEMORY_H

#include <stddef.h>

/* For a large buffer that begins as zero: it stands behind all that is small, so that what a
 * process that waits has written lies in few pages, and in few page tables. A sanitizer keeps
 * no watch over the ends of what has a section of its own. */
#ifdef __has_feature
#define MEMORY_HAS_SANITIZER __has_feature(address_sanitizer)
#elif defined(__SANITIZE_ADDRESS__)
#define MEMORY_HAS_SANITIZER 1
#else
#define MEMORY_HAS_SANITIZER 0
#endif
#if MEMORY_HAS_SANITIZER
#define MEMORY_LARGE
#else
#define MEMORY_LARGE __attribute__((section(".bss.zz_large")))
#endif

/* Gives back the whole pages within LEN bytes from FROM on, whatever size the kernel's
 * pages have; they read as zero from then on. */
void memory_give_back(void *from, size_t len);

/* Keeps huge pages out of the program's own buffers, whatever the kernel's defaults say:
 * most of a buffer is never touched, and a huge page is 2 MiB in each process that
 * writes to it. */
void memory_refuse_huge_pages(void);

#endif
