/*
 * The line by which a client of a vsock device's Unix socket names a port.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "protocol/handshake.h"

static void
assert_refused(const char *text)
{
	uint32_t port = 7;
	size_t len = 7;

	assert_int_equal(handshake_parse(text, strlen(text), &port, &len), -EBADMSG);
	assert_int_equal(port, 7);
	assert_int_equal(len, 7);
}

static void
test_a_line_names_a_port(void **state)
{
	const char *const lines[] = { "CONNECT 52\n", "CONNECT 0\n", "CONNECT 4294967295\n" };
	const uint32_t ports[] = { 52, 0, UINT32_MAX };
	uint32_t port;
	size_t len;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(handshake_parse(lines[i], strlen(lines[i]), &port, &len), 0);
		assert_int_equal(port, ports[i]);
		assert_int_equal(len, strlen(lines[i]));
	}
}

static void
test_what_follows_the_line_is_left_alone(void **state)
{
	const char text[] = "CONNECT 53\n\x01\0\0\0\0CONNECT 9\n";
	uint32_t port;
	size_t len;

	(void)state;
	assert_int_equal(handshake_parse(text, sizeof(text) - 1, &port, &len), 0);
	assert_int_equal(port, 53);
	assert_int_equal(len, 11);
}

static void
test_a_line_may_come_byte_by_byte(void **state)
{
	const char line[] = "CONNECT 52\n";
	uint32_t port = 0;
	size_t ignored;

	(void)state;
	for (size_t len = 0; len < strlen(line); len++)
		assert_int_equal(handshake_parse(line, len, &port, &ignored), -EAGAIN);
	assert_int_equal(handshake_parse(line, strlen(line), &port, &ignored), 0);
	assert_int_equal(port, 52);
}

static void
test_what_can_not_become_the_verb_is_refused_at_once(void **state)
{
	(void)state;
	assert_refused("X");
	assert_refused("CONNECX");
	assert_refused(" \t\rX");
	assert_refused("CONNECT52");
	assert_refused("CONN ");
	assert_refused("GET / HTTP/1.1\r\n\r\n");
}

/* How hosts have been seen to spell it, and how nobody does; -1: refused. What is
 * expected here is what Firecracker's device makes of it. */
static const struct {
	const char *line;
	int64_t port;
} spellings[] = {
	{ "connect 52\n", 52 },
	{ "Connect 52\n", 52 },
	{ "cONNECt 52\n", 52 },
	{ " CONNECT 52\n", 52 },
	{ "\r\n\t CONNECT 52\n", 52 },
	{ "\nconnect 52\n", 52 },
	{ "CONNECT  52\n", 52 },
	{ "CONNECT   52   \n", 52 },
	{ "CONNECT\t52\n", 52 },
	{ "CONNECT\v\f52\n", 52 },
	{ "CONNECT 52\r\n", 52 },
	{ "CONNECT 52 \n", 52 },
	{ "CONNECT 52 and more words\n", 52 },
	{ "CONNECT 52 53\n", 52 },
	{ "CONNECT 52 \xc3\xa4\n", 52 },
	{ "CONNECT 52 \xff\n", -1 },
	{ "CONNECT +52\n", 52 },
	{ "CONNECT 052\n", 52 },
	{ "CONNECT 00000000000000000052\n", 52 },
	{ "CONNECT 4294967295\n", UINT32_MAX },
	{ "CONNECT +0004294967295\n", UINT32_MAX },
	{ "CONNECT\n52\n", 52 },
	{ "CONNECT 52                      ", 52 }, /* 32 bytes, and no newline */
	{ "CONNECT 4294967296\n", -1 },
	{ "CONNECT 4294967348\n", -1 },
	{ "CONNECT 99999999999999999999\n", -1 },
	{ "CONNECT -52\n", -1 },
	{ "CONNECT -0\n", -1 },
	{ "CONNECT ++52\n", -1 },
	{ "CONNECT + 52\n", -1 },
	{ "CONNECT +\n", -1 },
	{ "CONNECT 0x34\n", -1 },
	{ "CONNECT 52x\n", -1 },
	{ "CONNECT 5.2\n", -1 },
	{ "CONNECT x52\n", -1 },
	{ "CONNECT   \n", -1 },
	{ "CONNECTED 52\n", -1 },
	{ "CONNEC 52\n", -1 },
	{ "52 CONNECT\n", -1 },
	{ "          \n", -1 },
	{ "CONNECT                       52", 52 },
	{ "CONNECT                        52\n", 5 }, /* cut at 32 bytes */
	{ "CONNECT                         52\n", -1 },
};

static void
test_a_line_is_taken_as_by_the_device(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(spellings) / sizeof(spellings[0]); i++) {
		const char *line = spellings[i].line;
		size_t line_len =
		    strlen(line) < HANDSHAKE_LINE_MAX ? strlen(line) : HANDSHAKE_LINE_MAX;
		uint32_t port = 0;
		size_t len = 0;
		int r = handshake_parse(line, strlen(line), &port, &len);

		if (r != (spellings[i].port < 0 ? -EBADMSG : 0) ||
		    (r == 0 && (port != spellings[i].port || len != line_len)))
			fail_msg("'%s': %d, port %u, %zu bytes", line, r, port, len);
	}
}

static void
test_a_line_without_its_end_is_waited_for(void **state)
{
	static const char *const starts[] = { "", "\n", "C", "connect", "CONNECT\n", "CONNECT 5",
		"CONNECT 52", "CONNECT 99999999999999", "CONNECT                       5",
		"CONNECT\n\n", "                               " };
	uint32_t port;
	size_t len;

	(void)state;
	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++)
		assert_int_equal(
		    handshake_parse(starts[i], strlen(starts[i]), &port, &len), -EAGAIN);
}

static void
test_a_nul_is_refused(void **state)
{
	static const char in_port[] = "CONNECT 5\0002\n";
	static const char in_verb[] = "CONNECT\0 52\n";
	uint32_t port;
	size_t len;

	(void)state;
	assert_int_equal(handshake_parse(in_port, sizeof(in_port) - 1, &port, &len), -EBADMSG);
	assert_int_equal(handshake_parse(in_verb, sizeof(in_verb) - 1, &port, &len), -EBADMSG);
}

static void
test_what_is_formatted_is_parsed(void **state)
{
	char text[HANDSHAKE_LINE_MAX];
	uint32_t port;
	size_t len;
	size_t n = handshake_format_connect(text, sizeof(text), UINT32_MAX);

	(void)state;
	assert_int_equal(n, strlen(text));
	assert_int_equal(handshake_parse(text, n, &port, &len), 0);
	assert_int_equal(port, UINT32_MAX);
	assert_int_equal(len, n);
	n = handshake_format_ok(text, sizeof(text), 1073741824);
	assert_string_equal(text, "OK 1073741824\n");
	assert_int_equal(n, strlen(text));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_line_names_a_port),
		cmocka_unit_test(test_what_follows_the_line_is_left_alone),
		cmocka_unit_test(test_a_line_may_come_byte_by_byte),
		cmocka_unit_test(test_what_can_not_become_the_verb_is_refused_at_once),
		cmocka_unit_test(test_a_line_is_taken_as_by_the_device),
		cmocka_unit_test(test_a_line_without_its_end_is_waited_for),
		cmocka_unit_test(test_a_nul_is_refused),
		cmocka_unit_test(test_what_is_formatted_is_parsed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
