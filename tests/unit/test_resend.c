/*
 * What was sent, and may have to be sent again.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "client/resend.h"

#define PIECE (64ul * 1024)

static struct resend resend;
static uint64_t missing;

static int
begin(void **state)
{
	(void)state;
	resend = (struct resend){ 0 };
	missing = 0;
	return 0;
}

static int
end(void **state)
{
	(void)state;
	resend_done(&resend);
	return 0;
}

/* The byte at OFFSET of all that is put in. */
static uint8_t
byte_at(uint64_t offset)
{
	return (uint8_t)(offset * 2654435761u >> 16);
}

static void
put(size_t len)
{
	uint8_t *data = malloc(len);

	for (size_t i = 0; i < len; i++)
		data[i] = byte_at(resend.end + i);
	assert_int_equal(resend_put(&resend, data, len), 0);
	free(data);
}

/* Takes all that is to be sent, and looks whether it is what stands from FROM on. */
static uint64_t
take_all(uint64_t from)
{
	static uint8_t data[PIECE];
	size_t len;

	while ((len = resend_take(&resend, data, sizeof(data))) > 0) {
		for (size_t i = 0; i < len; i++)
			assert_int_equal(data[i], byte_at(from + i));
		from += len;
	}
	return from;
}

static void
test_what_has_not_arrived_is_sent_again(void **state)
{
	(void)state;
	put(1000);
	assert_int_equal(take_all(0), 1000);
	assert_false(resend_has_bytes(&resend));
	assert_int_equal(resend_rewind(&resend, 300, &missing), 0);
	put(50);
	assert_int_equal(take_all(300), 1050);
	assert_int_equal(resend_rewind(&resend, 1050, &missing), 0);
	assert_false(resend_has_bytes(&resend));
}

static void
test_much_goes_through_and_the_last_of_it_is_kept(void **state)
{
	uint64_t taken = 0;

	(void)state;
	while (resend.end < 3 * RESEND_KEEP) {
		assert_true(resend_room(&resend) >= PIECE - 13);
		put(PIECE - 13);
		taken = take_all(taken);
	}
	assert_int_equal(resend_rewind(&resend, taken - RESEND_KEEP, &missing), 0);
	assert_int_equal(resend_room(&resend), 0);
	assert_int_equal(take_all(taken - RESEND_KEEP), taken);
	assert_int_equal(resend_room(&resend), RESEND_UNSENT_MAX);
}

static void
test_what_is_not_kept_any_more_is_told(void **state)
{
	uint64_t taken = 0;

	(void)state;
	while (resend.end < 2 * RESEND_KEEP) {
		put(PIECE);
		taken = take_all(taken);
	}
	assert_int_equal(resend_rewind(&resend, 5, &missing), -ERANGE);
	assert_int_equal(missing, taken - RESEND_KEEP - RESEND_UNSENT_MAX - 5);
}

static void
test_there_is_no_room_while_much_waits(void **state)
{
	(void)state;
	put(RESEND_UNSENT_MAX);
	assert_int_equal(resend_room(&resend), 0);
	assert_int_equal(take_all(0), RESEND_UNSENT_MAX);
	assert_int_equal(resend_room(&resend), RESEND_UNSENT_MAX);
}

static void
test_what_others_sent_is_not_ours(void **state)
{
	(void)state;
	assert_int_equal(resend_rewind(&resend, 5000, &missing), 0);
	put(100);
	assert_int_equal(take_all(0), 100);
	assert_int_equal(resend_rewind(&resend, 5040, &missing), 0);
	assert_int_equal(take_all(40), 100);
	put(10);
	/* Another host has sent 900 behind our 100. */
	assert_int_equal(resend_rewind(&resend, 6000, &missing), 0);
	assert_int_equal(take_all(100), 110);
}

static void
test_the_end_is_sent_behind_all(void **state)
{
	(void)state;
	put(10);
	resend.has_eof = true;
	assert_false(resend_has_end(&resend));
	(void)take_all(0);
	assert_true(resend_has_end(&resend));
	resend.eof_is_sent = true;
	assert_false(resend_has_end(&resend));
	assert_int_equal(resend_rewind(&resend, 10, &missing), 0);
	assert_false(resend_has_end(&resend));
	assert_int_equal(resend_rewind(&resend, 9, &missing), 0);
	(void)take_all(9);
	assert_true(resend_has_end(&resend));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_what_has_not_arrived_is_sent_again, begin, end),
		cmocka_unit_test_setup_teardown(
		    test_much_goes_through_and_the_last_of_it_is_kept, begin, end),
		cmocka_unit_test_setup_teardown(test_what_is_not_kept_any_more_is_told, begin, end),
		cmocka_unit_test_setup_teardown(test_there_is_no_room_while_much_waits, begin, end),
		cmocka_unit_test_setup_teardown(test_what_others_sent_is_not_ours, begin, end),
		cmocka_unit_test_setup_teardown(test_the_end_is_sent_behind_all, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
