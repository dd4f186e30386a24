/*
 * Where an agent listens or is found.
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
#include <sys/socket.h>
#include <linux/vm_sockets.h>
#include <cmocka.h>

#include "platform/address.h"

static void
test_vsock_alone_is_any_cid(void **state)
{
	struct address address;

	(void)state;
	assert_int_equal(address_parse("vsock", &address), 0);
	assert_int_equal(address.kind, ADDRESS_VSOCK);
	assert_int_equal(address.cid, VMADDR_CID_ANY);
}

static void
test_vsock_may_name_a_cid(void **state)
{
	struct address address;

	(void)state;
	assert_int_equal(address_parse("vsock:3", &address), 0);
	assert_int_equal(address.kind, ADDRESS_VSOCK);
	assert_int_equal(address.cid, 3);
	assert_int_equal(address_parse("vsock:4294967295", &address), 0);
	assert_int_equal(address.cid, UINT32_MAX);
}

static void
test_unix_has_a_path(void **state)
{
	struct address address;

	(void)state;
	assert_int_equal(address_parse("unix:/run/a b:c.sock", &address), 0);
	assert_int_equal(address.kind, ADDRESS_UNIX);
	assert_string_equal(address.path, "/run/a b:c.sock");
}

static void
test_a_path_fits_into_a_socket_address_or_is_refused(void **state)
{
	char text[256] = "unix:";
	struct address address = { .cid = 77 };

	(void)state;
	memset(text + 5, 'p', sizeof(address.path));
	text[5 + sizeof(address.path)] = '\0';
	assert_int_equal(address_parse(text, &address), -ENAMETOOLONG);
	assert_int_equal(address.cid, 77);
	text[5 + sizeof(address.path) - 1] = '\0';
	assert_int_equal(address_parse(text, &address), 0);
	assert_int_equal(strlen(address.path), sizeof(address.path) - 1);
}

static void
test_other_forms_are_refused(void **state)
{
	const char *const bad[] = { "", "unix", "unix:", "UNIX:/x", "/run/x", "vsock:", "vsock:x",
		"vsock:-1", "vsock:4294967296", "vsock:3x", "vsocks", " vsock", "tcp:1" };
	struct address address = { .cid = 77 };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (address_parse(bad[i], &address) != -EINVAL)
			fail_msg("accepted: %s", bad[i]);
		assert_int_equal(address.cid, 77);
	}
}

static void
test_a_port_of_a_cid_has_both(void **state)
{
	struct address_port address;

	(void)state;
	assert_int_equal(address_parse_port("vsock:2:1234", &address), 0);
	assert_int_equal(address.cid, 2);
	assert_int_equal(address.port, 1234);
	assert_int_equal(address_parse_port("vsock:4294967294:4294967294", &address), 0);
	assert_int_equal(address.cid, UINT32_MAX - 1);
	assert_int_equal(address.port, UINT32_MAX - 1);
	assert_int_equal(address_parse_port("", &address), 0);
	assert_int_equal(address.port, 0);
}

static void
test_other_forms_of_a_port_are_refused(void **state)
{
	const char *const bad[] = { "vsock", "vsock:", "vsock:2", "vsock:2:", "vsock:2:0",
		"vsock::1", "vsock:2:x", "vsock:2:1x", "vsock:2x:1", "vsock:2:1:1", "vsock:-1:1",
		"vsock:2:-1", "vsock: 2:1", "vsock:2: 1", "vsock:4294967295:1",
		"vsock:2:4294967295", "vsock:2:4294967296", "vsock:4294967298:1",
		"vsock:2:18446744073709551617", "vsock:18446744073709551618:1",
		"vsock:2:99999999999999999999999", "vsock:99999999999999999999999:1", "unix:/x",
		"2:1234", " vsock:2:1" };
	struct address_port address = { .cid = 77, .port = 78 };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (address_parse_port(bad[i], &address) != -EINVAL)
			fail_msg("accepted: %s", bad[i]);
		assert_int_equal(address.cid, 77);
		assert_int_equal(address.port, 78);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vsock_alone_is_any_cid),
		cmocka_unit_test(test_vsock_may_name_a_cid),
		cmocka_unit_test(test_unix_has_a_path),
		cmocka_unit_test(test_a_path_fits_into_a_socket_address_or_is_refused),
		cmocka_unit_test(test_other_forms_are_refused),
		cmocka_unit_test(test_a_port_of_a_cid_has_both),
		cmocka_unit_test(test_other_forms_of_a_port_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
