/*
 * failing_memory: malloc(3) and its like as this program wants them: they fail when told
 * to, for the libraries too, and what is taken and lost is counted. For one file of a
 * program; memory_begin() comes first in main().
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_UNIT_FAILING_MEMORY_H
#define TESTS_UNIT_FAILING_MEMORY_H

#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MEMORY_BLOCKS_MAX 4096

static struct {
	bool watches;
	bool goes_on; /* all that follow fail too */
	size_t fail_at;
	size_t asked;
	size_t failed;
	size_t live; /* blocks taken while it watched, and not given back */
	struct {
		const void *block;
		bool is_ours; /* and not a library's; of a static program nobody can say */
	} blocks[MEMORY_BLOCKS_MAX];
	size_t bytes; /* that are taken, watched or not */
	size_t most;
} memory;

/* Of the program itself. */
extern const char __executable_start[];
extern const char etext[];

/* What is taken before main(), when malloc(3) can't be looked for yet. Not given back. */
static _Alignas(16) char memory_first[256 * 1024];
static size_t memory_first_used;

/* Those that we stand in front of. */
static __typeof__(malloc) *memory_malloc;
static __typeof__(realloc) *memory_realloc;
static __typeof__(free) *memory_free;
static bool memory_is_static;

/* What a musl calls them that is linked statically, where nothing can be looked for;
 * tests/builds/musl has the linker take them. */
extern __typeof__(malloc) __libc_malloc_impl __attribute__((weak));
extern __typeof__(realloc) __libc_realloc __attribute__((weak));
extern __typeof__(free) __libc_free __attribute__((weak));

static void *
memory_find(const char *name, void *of_musl)
{
	void *found = dlsym(RTLD_NEXT, name);

	if (found == NULL && of_musl == NULL)
		abort();
	return found != NULL ? found : of_musl;
}

static void
memory_begin(void)
{
	__typeof__(malloc) *found = memory_find("malloc", __libc_malloc_impl);

	memory_is_static = found == __libc_malloc_impl;
	memory_realloc = memory_find("realloc", __libc_realloc);
	memory_free = memory_find("free", __libc_free);
	memory_malloc = found;
}

static bool
memory_is_first(const void *block)
{
	return memory_malloc == NULL ||
	       ((const char *)block >= memory_first &&
		   (const char *)block < memory_first + sizeof(memory_first));
}

static void *
memory_take_first(size_t size)
{
	char *block = memory_first + memory_first_used;

	memory_first_used += (size + 15) / 16 * 16;
	if (memory_first_used > sizeof(memory_first))
		abort();
	return block;
}

static bool
memory_fails(void)
{
	if (!memory.watches)
		return false;
	memory.asked++;
	if (memory.fail_at == 0 || memory.asked < memory.fail_at ||
	    (memory.asked > memory.fail_at && !memory.goes_on))
		return false;
	memory.failed++;
	errno = ENOMEM;
	return true;
}

static void
memory_took(void *block, const char *caller)
{
	memory.bytes += malloc_usable_size(block);
	if (memory.bytes > memory.most)
		memory.most = memory.bytes;
	if (!memory.watches || block == NULL)
		return;
	if (memory.live == MEMORY_BLOCKS_MAX)
		abort();
	memory.blocks[memory.live].block = block;
	memory.blocks[memory.live++].is_ours =
	    !memory_is_static && caller >= __executable_start && caller < etext;
}

static void
memory_gave(void *block)
{
	size_t i = memory.live;

	memory.bytes -= malloc_usable_size(block);
	while (i > 0 && memory.blocks[i - 1].block != block)
		i--;
	if (i > 0)
		memory.blocks[i - 1] = memory.blocks[--memory.live];
}

static void *
memory_take(size_t size, const char *caller)
{
	void *block;

	if (memory_malloc == NULL)
		return memory_take_first(size);
	block = memory_fails() ? NULL : memory_malloc(size);
	memory_took(block, caller);
	return block;
}

void *
malloc(size_t size)
{
	return memory_take(size, __builtin_return_address(0));
}

/* The sanitizer's takes none of our blocks. */
char *
strdup(const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = memory_take(size, __builtin_return_address(0));

	return copy != NULL ? memcpy(copy, text, size) : NULL;
}

void *
calloc(size_t count, size_t size)
{
	void *block;

	if (count > 0 && size > SIZE_MAX / count) {
		errno = ENOMEM;
		return NULL;
	}
	block = memory_take(count * size, __builtin_return_address(0));
	return block != NULL ? memset(block, 0, count * size) : NULL;
}

void *
realloc(void *old, size_t size)
{
	void *block;

	if (memory_malloc == NULL || (old != NULL && memory_is_first(old))) {
		block = malloc(size);
		if (block != NULL && old != NULL)
			memmove(block, old, size);
		return block;
	}
	if (memory_fails())
		return NULL;
	/* Both are there while one is copied to the other. */
	memory.bytes += size;
	if (memory.bytes > memory.most)
		memory.most = memory.bytes;
	memory.bytes -= size;
	memory_gave(old);
	block = memory_realloc(old, size);
	memory_took(block, __builtin_return_address(0));
	return block;
}

void
free(void *block)
{
	if (memory_is_first(block))
		return;
	memory_gave(block);
	memory_free(block);
}

static inline size_t
memory_count_ours(void)
{
	size_t count = 0;

	for (size_t i = 0; i < memory.live; i++)
		count += memory.blocks[i].is_ours;
	return count;
}

/* json-c of before 0.17 forgets the member that it has no room for. */
static inline void
memory_free_forgotten(void)
{
	while (memory.live > 0)
		memory_free((void *)(uintptr_t)memory.blocks[--memory.live].block);
}

static inline void
memory_watch(size_t fail_at, bool goes_on)
{
	memory.fail_at = fail_at;
	memory.goes_on = goes_on;
	memory.asked = memory.failed = memory.live = 0;
	memory.watches = true;
}

#endif
