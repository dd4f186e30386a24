/*
 * Frames as lines, for whoever looks for a fault.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "ctl/trace.h"

static void
assert_line(bool is_out, uint8_t type, const char *data, size_t len, const char *expected)
{
	const struct client_frame frame = { .is_out = is_out,
		.type = type,
		.len = len,
		.data = (const uint8_t *)data,
		.data_len = len };
	char line[TRACE_LINE_MAX];

	trace_format(&frame, line);
	assert_string_equal(line, expected);
}

static void
test_a_frame_has_its_direction_name_and_length(void **state)
{
	(void)state;
	assert_line(
	    true, VMM_GUEST_START, "{\"a\":1}", 7, "vmm-guest-ctl: -> START, 7 bytes: {\"a\":1}");
	assert_line(false, VMM_GUEST_FILE_ACK, "", 0, "vmm-guest-ctl: <- FILE_ACK, 0 bytes");
	assert_line(
	    false, VMM_GUEST_EXIT, "\1\0\0\0", 4, "vmm-guest-ctl: <- EXIT, 4 bytes: 01 00 00 00");
	assert_line(false, 0xee, "\x1b", 1, "vmm-guest-ctl: <- 0xee, 1 bytes: 1b");
}

static void
test_nothing_in_a_frame_reaches_the_terminal_as_it_is(void **state)
{
	(void)state;
	assert_line(false, VMM_GUEST_STDOUT, "a\x1b[2J\nb\0c", 8,
	    "vmm-guest-ctl: <- STDOUT, 8 bytes: a?[2J?b?");
}

static void
test_a_long_frame_is_cut_between_two_characters(void **state)
{
	char data[1000];
	struct client_frame frame = { .type = VMM_GUEST_STDOUT,
		.len = sizeof(data),
		.data = (const uint8_t *)data,
		.data_len = sizeof(data) };
	char line[TRACE_LINE_MAX];

	(void)state;
	for (size_t shift = 0; shift < 2; shift++) {
		memset(data, 'x', sizeof(data));
		for (size_t i = shift; i + 1 < sizeof(data); i += 2)
			memcpy(data + i, "\xc3\xa4", 2);
		trace_format(&frame, line);
		assert_in_range(strlen(line), TRACE_LINE_MAX - 8, TRACE_LINE_MAX - 1);
		assert_null(strchr(line, '?'));
		assert_string_equal(line + strlen(line) - 5, "\xc3\xa4...");
	}
	frame.type = VMM_GUEST_FILE_DONE;
	trace_format(&frame, line);
	assert_string_equal(line + strlen(line) - 3, "...");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_frame_has_its_direction_name_and_length),
		cmocka_unit_test(test_nothing_in_a_frame_reaches_the_terminal_as_it_is),
		cmocka_unit_test(test_a_long_frame_is_cut_between_two_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
