/*
 * Numbers of bytes, and durations, as people write them.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "ctl/quantity.h"

static void
assert_bytes(uint64_t bytes, const char *expected)
{
	char text[QUANTITY_MAX];

	quantity_format_bytes(text, bytes);
	assert_string_equal(text, expected);
}

static void
assert_ms(uint64_t ms, const char *expected)
{
	char text[QUANTITY_MAX];

	quantity_format_ms(text, ms);
	assert_string_equal(text, expected);
}

static void
test_bytes_have_the_unit_that_keeps_them_short(void **state)
{
	(void)state;
	assert_bytes(0, "0 B");
	assert_bytes(1023, "1023 B");
	assert_bytes(1024, "1.0 KiB");
	assert_bytes(1536, "1.5 KiB");
	assert_bytes(10 * 1024, "10 KiB");
	assert_bytes(1024 * 1024, "1.0 MiB");
	assert_bytes(UINT64_MAX, "16 EiB");
}

static void
test_rounding_never_shows_1024_of_a_unit(void **state)
{
	(void)state;
	assert_bytes(1024 * 1024 - 1, "1.0 MiB");
	assert_bytes(1024ull * 1024 * 1024 - 1, "1.0 GiB");
	assert_bytes(1023 * 1024, "1023 KiB");
}

static void
test_durations_have_two_parts_at_most(void **state)
{
	(void)state;
	assert_ms(0, "0 ms");
	assert_ms(999, "999 ms");
	assert_ms(1000, "1 s");
	assert_ms(59999, "59 s");
	assert_ms(60000, "1m 00s");
	assert_ms(3599999, "59m 59s");
	assert_ms(3600000, "1h 00m");
	assert_ms(86399999, "23h 59m");
	assert_ms(86400000ull * 4 + 3600000 * 3, "4d 03h");
	assert_ms(UINT64_MAX, "213503982334d 14h");
}

static void
test_sizes_are_read_with_and_without_a_unit(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} cases[] = {
		{ "0", 0 },
		{ "512", 512 },
		{ "1K", 1024 },
		{ "2m", 2 * 1024 * 1024 },
		{ "3GiB", 3ull * 1024 * 1024 * 1024 },
		{ "15E", 15ull << 60 },
		{ "18446744073709551615", UINT64_MAX },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t bytes = 1;

		assert_int_equal(quantity_parse_bytes(cases[i].text, &bytes), 0);
		assert_true(bytes == cases[i].bytes);
	}
}

static void
test_what_is_no_size_is_refused(void **state)
{
	static const char *const texts[] = { "", "-1", "+1", " 1", "1 K", "K", "1X", "1KB", "1Ki",
		"16E", "18446744073709551616", "0x10", "1.5M" };
	uint64_t bytes = 7;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_true(quantity_parse_bytes(texts[i], &bytes) < 0);
	assert_int_equal(bytes, 7);
}

static void
test_a_part_of_a_second_is_kept(void **state)
{
	uint64_t ms = 0;

	(void)state;
	assert_int_equal(quantity_parse_ms("1.5", &ms), 0);
	assert_true(ms == 1500);
	assert_int_equal(quantity_parse_ms("250ms", &ms), 0);
	assert_true(ms == 250);
	assert_int_equal(quantity_parse_ms("0.0001", &ms), 0);
	assert_true(ms == 1);
	assert_int_equal(quantity_parse_ms("2m", &ms), 0);
	assert_true(ms == 120000);
}

static void
test_a_duration_is_read_with_and_without_a_unit(void **state)
{
	static const struct {
		const char *text;
		uint64_t seconds;
	} cases[] = { { "0", 0 }, { "90", 90 }, { "90s", 90 }, { "10m", 600 }, { "2h", 7200 },
		{ "7d", 604800 }, { "1.5", 2 }, { "1.5m", 90 }, { "250ms", 1 },
		{ "999999999999999", 999999999999999 } };
	static const char *const wrong[] = { "", "s", "-1", "1 s", "1w", "1.", ".5", "1.5x",
		"1.2.3", "1.12345678", "999999999999999d", "18446744073709551616" };
	uint64_t seconds = 7;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_true(quantity_parse_seconds(wrong[i], &seconds) < 0);
	assert_int_equal(seconds, 7);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(quantity_parse_seconds(cases[i].text, &seconds), 0);
		assert_true(seconds == cases[i].seconds);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes_have_the_unit_that_keeps_them_short),
		cmocka_unit_test(test_rounding_never_shows_1024_of_a_unit),
		cmocka_unit_test(test_durations_have_two_parts_at_most),
		cmocka_unit_test(test_sizes_are_read_with_and_without_a_unit),
		cmocka_unit_test(test_what_is_no_size_is_refused),
		cmocka_unit_test(test_a_part_of_a_second_is_kept),
		cmocka_unit_test(test_a_duration_is_read_with_and_without_a_unit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
