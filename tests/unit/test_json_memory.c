/*
 * What a message takes of memory, whatever is in it.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "failing_memory.h"
#include "protocol/file_entry.h"
#include "protocol/start.h"
#include "protocol/status.h"
#include "vmm-guest/protocol.h"

#define MIB ((size_t)1024 * 1024)
#define REQUEST_MEMORY_MAX (10 * MIB)

/* FIRST, PIECE as often as COUNT or LEN bytes have room for, separated by commas (a "%zx" in
 * PIECE is its number), LAST. */
static char *
bomb(const char *first, const char *piece, size_t count, const char *last, size_t len)
{
	char *text = malloc(len + 64);
	char *end = stpcpy(text, first);

	for (size_t i = 0; i < count && (size_t)(end - text) + 32 < len; i++) {
		if (i > 0)
			*end++ = ',';
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		end += sprintf(end, piece, i);
#pragma GCC diagnostic pop
	}
	(void)stpcpy(end, last);
	return text;
}

/* What START of TEXT takes at most; *RET as start_parse() returns. */
static size_t
start_memory(char *text, int *ret)
{
	struct start_request request;
	struct json_error error;
	size_t before = memory.bytes;

	memory.most = before;
	*ret = start_parse(text, strlen(text), &request, &error);
	if (*ret == 0)
		start_done(&request);
	free(text);
	return memory.most - before;
}

/* All that is allowed, at once. */
static void
assert_the_fullest_request_fits(void)
{
	char *first = bomb("{\"cmd\":[\"a\",", "\"\"", 45000, "],\"x\":[", MIB);
	size_t taken;
	int r;

	taken = start_memory(
	    bomb(first, "{\"a\":\"\",\"b\":\"\",\"c\":\"\",\"d\":\"\"}", 4090, "]}", MIB), &r);
	print_message("the fullest: %zu KiB\n", taken / 1024);
	assert_int_equal(r, 0);
	assert_true(taken < REQUEST_MEMORY_MAX);
	free(first);
}

static void
test_a_request_takes_no_more_memory_than_it_may_whatever_is_in_it(void **state)
{
	static const struct {
		const char *first, *piece, *last;
		size_t most; /* that is accepted */
	} bombs[] = {
		{ "{\"cmd\":[\"a\",", "\"\"", "]}", 65536 - 3 },
		{ "{\"cmd\":[\"a\"],\"x\":[", "0", "]}", 65536 - 4 },
		{ "{\"cmd\":[\"a\"],\"x\":[", "{}", "]}", 4093 },
		{ "{\"cmd\":[\"a\"],\"x\":[", "[]", "]}", 4093 },
		{ "{\"cmd\":[\"a\"],", "\"%zx\":0", "}", 16383 },
		{ "{\"cmd\":[\"a\"],\"env\":{", "\"%zx\":\"\"", "}}", 16382 },
		{ "{\"cmd\":[\"a\"],\"x\":[", "{\"%zx\":[0]}", "]}", 2046 },
		{ "{\"cmd\":[\"a\"],\"x\":[",
		    "{\"a\":[\"\",\"\",0,\"\",\"\",0,\"\",\"\",0],\"b\":0,\"c\":0,\"d\":0}", "]}",
		    2046 },
	};
	int r;

	(void)state;
	for (size_t i = 0; i < sizeof(bombs) / sizeof(bombs[0]); i++) {
		size_t taken = start_memory(
		    bomb(bombs[i].first, bombs[i].piece, bombs[i].most, bombs[i].last, MIB), &r);

		print_message("%s: %zu KiB\n", bombs[i].piece, taken / 1024);
		if (r != 0 || taken > REQUEST_MEMORY_MAX)
			fail_msg("%s: %d, %zu bytes", bombs[i].piece, r, taken);
		taken = start_memory(
		    bomb(bombs[i].first, bombs[i].piece, bombs[i].most + 1, bombs[i].last, MIB),
		    &r);
		if (r != -EINVAL || taken > REQUEST_MEMORY_MAX)
			fail_msg("%s, one more: %d, %zu bytes", bombs[i].piece, r, taken);
		taken = start_memory(
		    bomb(bombs[i].first, bombs[i].piece, SIZE_MAX, bombs[i].last, MIB), &r);
		if (r != -EINVAL || taken > REQUEST_MEMORY_MAX)
			fail_msg("%s, 1 MiB: %d, %zu bytes", bombs[i].piece, r, taken);
	}
	assert_the_fullest_request_fits();
}

/* What an answer of TEXT takes at most, besides itself. */
static size_t
listing_memory(char *text, int *ret, size_t *ret_count)
{
	struct file_listing CLEANUP_LISTING listing = { 0 };
	struct json_error error;
	size_t before = memory.bytes;

	memory.most = before;
	*ret = file_listing_parse(text, strlen(text), &listing, &error);
	*ret_count = listing.count;
	free(text);
	return memory.most - before;
}

static void
test_a_listing_takes_its_own_length_and_its_entries(void **state)
{
	static const char *const bombs[] = { "{}", "[]", "0", "{\"name\":\"\",\"kind\":[{}]}" };
	const size_t len = VMM_GUEST_FRAME_MAX;
	size_t count;
	size_t taken;
	int r;

	(void)state;
	for (size_t i = 0; i < sizeof(bombs) / sizeof(bombs[0]); i++) {
		taken = listing_memory(bomb("[", bombs[i], SIZE_MAX, "]", len), &r, &count);
		assert_int_equal(r, -EINVAL);
		assert_true(taken < len + MIB);
	}
	taken = listing_memory(
	    bomb("[",
		"{\"name\":\"%zx\",\"kind\":\"file\",\"size\":0,\"mode\":420,\"mtime_secs\":0,"
		"\"mtime_nanos\":0,\"uid\":0,\"gid\":0,\"symlink_target\":\"\"}",
		100000, "]", len),
	    &r, &count);
	assert_int_equal(r, 0);
	assert_int_equal(count, 100000);
	print_message("100000 entries: %zu KiB\n", taken / 1024);
	assert_true(taken < 3 * len);
	taken = listing_memory(
	    bomb("[", "{\"name\":\"\",\"kind\":\"\"}", SIZE_MAX, "]", len / 4), &r, &count);
	assert_int_equal(r, 0);
	assert_true(taken < 10 * len / 4);
}

static void
test_a_status_takes_no_more_memory_than_a_request(void **state)
{
	static const char *const bombs[] = { "0", "{}", "\"\"", "\"%zx\":0" };
	struct json_error error;
	struct status status;

	(void)state;
	for (size_t i = 0; i < sizeof(bombs) / sizeof(bombs[0]); i++) {
		bool is_member = strchr(bombs[i], ':') != NULL;
		char *text = bomb(is_member ? "{\"x\":{" : "{\"x\":[", bombs[i], SIZE_MAX,
		    is_member ? "}}" : "]}", VMM_GUEST_FRAME_MAX);

		memory.most = memory.bytes;
		assert_int_equal(status_parse(text, strlen(text), &status, &error), -EINVAL);
		assert_true(memory.most - memory.bytes < REQUEST_MEMORY_MAX);
		free(text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_request_takes_no_more_memory_than_it_may_whatever_is_in_it),
		cmocka_unit_test(test_a_listing_takes_its_own_length_and_its_entries),
		cmocka_unit_test(test_a_status_takes_no_more_memory_than_a_request),
	};

	memory_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
