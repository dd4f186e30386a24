/*
 * What a process gives back to the kernel.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "platform/memory.h"

#define PAGES 4

static uint8_t *memory;
static size_t page;

static int
setup(void **state)
{
	(void)state;
	page = (size_t)sysconf(_SC_PAGESIZE);
	memory =
	    mmap(NULL, PAGES * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return -1;
	memset(memory, 'x', PAGES * page);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	return munmap(memory, PAGES * page);
}

/* What is zero is given back, and what is not was kept. */
static void
assert_given_back(size_t from, size_t to)
{
	for (size_t i = 0; i < PAGES * page; i++)
		assert_int_equal(memory[i], i >= from && i < to ? 0 : 'x');
}

static void
test_whole_pages_are_given_back(void **state)
{
	(void)state;
	memory_give_back(memory + page, 2 * page);
	assert_given_back(page, 3 * page);
}

static void
test_what_is_only_a_part_of_a_page_is_kept(void **state)
{
	(void)state;
	memory_give_back(memory + 1, 3 * page - 2);
	assert_given_back(page, 2 * page);
}

static void
test_less_than_a_page_is_kept(void **state)
{
	(void)state;
	memory_give_back(memory, 0);
	memory_give_back(memory, page - 1);
	memory_give_back(memory + 1, page - 1);
	memory_give_back(memory + page / 2, page);
	assert_given_back(0, 0);
}

#define EACH(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(test_whole_pages_are_given_back),
		EACH(test_what_is_only_a_part_of_a_page_is_kept),
		EACH(test_less_than_a_page_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
