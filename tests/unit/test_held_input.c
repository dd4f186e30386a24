/*
 * Standard input that the program has not yet taken.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "session/run/held_input.h"
#include "vmm-guest/protocol.h"

static void
test_first_in_is_first_out(void **state)
{

	(void)state;
	held_input_init();
	assert_int_equal(held_input_len(), 0);
	assert_int_equal(held_input_append("abc", 3), 3);
	assert_int_equal(held_input_append("", 0), 0);
	assert_int_equal(held_input_append("def", 3), 3);
	assert_int_equal(held_input_len(), 6);
	assert_memory_equal(held_input_bytes(), "abcdef", 6);
	held_input_drop(4);
	assert_memory_equal(held_input_bytes(), "ef", 2);
	held_input_drop(2);
	assert_int_equal(held_input_len(), 0);
	held_input_done();
}

static void
test_what_has_no_room_is_not_taken(void **state)
{
	static uint8_t much[VMM_GUEST_STDIN_HELD_MAX + 1];

	(void)state;
	held_input_init();
	assert_int_equal(held_input_append(much, sizeof(much)), VMM_GUEST_STDIN_HELD_MAX);
	assert_int_equal(held_input_append(much, 1), 0);
	held_input_drop(1);
	assert_int_equal(held_input_append(much, 2), 1);
	assert_int_equal(held_input_len(), VMM_GUEST_STDIN_HELD_MAX);
	held_input_done();
	assert_int_equal(held_input_len(), 0);
}

/* Bytes of a known order go in and come out in pieces of uneven size, so that
 * the memory is gone round many times. */
static void
test_order_is_kept_where_the_memory_is_used_again(void **state)
{
	static uint8_t piece[100003];
	uint32_t in = 0;
	uint32_t out = 0;

	(void)state;
	held_input_init();
	for (int round = 0; round < 200; round++) {
		size_t want = (size_t)(round * 7919) % sizeof(piece) + 1;
		size_t took;
		size_t drop;

		for (size_t i = 0; i < want; i++)
			piece[i] = (uint8_t)((in + i) * 2654435761u >> 24);
		took = held_input_append(piece, want);
		in += (uint32_t)took;
		drop = held_input_len() > want / 2 ? want / 2 : held_input_len();
		for (size_t i = 0; i < drop; i++) {
			if (held_input_bytes()[i] != (uint8_t)((out + i) * 2654435761u >> 24))
				fail_msg("byte %zu of round %d", i, round);
		}
		held_input_drop(drop);
		out += (uint32_t)drop;
		assert_int_equal(held_input_len(), in - out);
	}
	assert_true(in > 3 * VMM_GUEST_STDIN_HELD_MAX);
	held_input_done();
}

static void
test_the_next_session_begins_empty(void **state)
{

	(void)state;
	held_input_init();
	(void)held_input_append("old", 3);
	held_input_done();
	held_input_init();
	assert_int_equal(held_input_len(), 0);
	assert_int_equal(held_input_append("new", 3), 3);
	assert_memory_equal(held_input_bytes(), "new", 3);
	held_input_done();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_in_is_first_out),
		cmocka_unit_test(test_what_has_no_room_is_not_taken),
		cmocka_unit_test(test_order_is_kept_where_the_memory_is_used_again),
		cmocka_unit_test(test_the_next_session_begins_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
