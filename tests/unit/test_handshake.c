/*
 * The line by which a client of a vsock device's Unix socket names a port.
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
test_another_first_byte_is_refused_at_once(void **state)
{
	(void)state;
	assert_refused("X");
	assert_refused("CONNECX");
	assert_refused("connect 52\n");
	assert_refused("CONNECT\t52\n");
	assert_refused("\n");
}

static void
test_the_port_is_digits_and_nothing_else(void **state)
{
	const char nul[] = "CONNECT 5\0002\n";
	uint32_t port;
	size_t len;

	(void)state;
	assert_refused("CONNECT \n");
	assert_refused("CONNECT\n");
	assert_refused("CONNECT 52 \n");
	assert_refused("CONNECT  52\n");
	assert_refused("CONNECT 52\r\n");
	assert_refused("CONNECT +52\n");
	assert_refused("CONNECT -1\n");
	assert_refused("CONNECT 0x34\n");
	assert_refused("CONNECT 4294967296\n");
	assert_refused("CONNECT 99999999999999999999\n");
	assert_int_equal(handshake_parse(nul, sizeof(nul) - 1, &port, &len), -EBADMSG);
}

static void
test_a_line_longer_than_its_limit_is_refused(void **state)
{
	char text[2 * HANDSHAKE_LINE_MAX];
	uint32_t port;
	size_t len;

	(void)state;
	memset(text, '0', sizeof(text));
	memcpy(text, "CONNECT ", 8);
	assert_int_equal(handshake_parse(text, HANDSHAKE_LINE_MAX - 1, &port, &len), -EAGAIN);
	assert_int_equal(handshake_parse(text, HANDSHAKE_LINE_MAX, &port, &len), -EBADMSG);
	memcpy(text + HANDSHAKE_LINE_MAX - 3, "52\n", 3);
	assert_int_equal(handshake_parse(text, sizeof(text), &port, &len), 0);
	assert_int_equal(len, HANDSHAKE_LINE_MAX);
	memcpy(text + HANDSHAKE_LINE_MAX - 3, "052\n", 4);
	assert_int_equal(handshake_parse(text, sizeof(text), &port, &len), -EBADMSG);
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
		cmocka_unit_test(test_another_first_byte_is_refused_at_once),
		cmocka_unit_test(test_the_port_is_digits_and_nothing_else),
		cmocka_unit_test(test_a_line_longer_than_its_limit_is_refused),
		cmocka_unit_test(test_what_is_formatted_is_parsed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
