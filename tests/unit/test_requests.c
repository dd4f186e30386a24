/*
 * The JSON of NET_RECONFIG, WAIT_PORT, CONNECT, RESTORED, ATTACH and FORGET, and base64.
 *
 * SPDX-License-Identifier: MIT
 */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "protocol/attach_request.h"
#include "protocol/base64.h"
#include "protocol/net_request.h"
#include "protocol/port_request.h"
#include "protocol/restored_request.h"
#include "protocol/wire.h"
#include "vmm-guest/protocol.h"

/* ---- base64 ------------------------------------------------------------- */

static const struct {
	const char *bytes;
	const char *text;
} base64_pairs[] = {
	/* RFC 4648, section 10 */
	{ "", "" },
	{ "f", "Zg==" },
	{ "fo", "Zm8=" },
	{ "foo", "Zm9v" },
	{ "foob", "Zm9vYg==" },
	{ "fooba", "Zm9vYmE=" },
	{ "foobar", "Zm9vYmFy" },
	{ "\xff\xff\xff\xfb\xef", "////++8=" },
};

static void
test_base64_is_as_in_the_rfc_both_ways(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(base64_pairs) / sizeof(base64_pairs[0]); i++) {
		const char *bytes = base64_pairs[i].bytes;
		char text[BASE64_TEXT_SIZE(8)];
		uint8_t parsed[8];

		base64_format((const uint8_t *)bytes, strlen(bytes), text);
		assert_string_equal(text, base64_pairs[i].text);
		assert_int_equal(base64_parse(text, parsed, sizeof(parsed)), strlen(bytes));
		assert_memory_equal(parsed, bytes, strlen(bytes));
	}
}

static void
test_what_is_not_base64_is_refused(void **state)
{
	static const char *const wrong[] = { "Z", "Zg", "Zg=", "Zg===", "=",
		"====", "Z===", "Zh==", "Zm9=", "Zm9v\n", "Zm 9", "Zg==Zg==", "Zm-_",
		"Zm9v=", "***=", "Z\xc3\xa4=" };
	uint8_t bytes[16];

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(base64_parse(wrong[i], bytes, sizeof(bytes)), -EINVAL);
}

static void
test_base64_above_the_size_is_checked_and_dropped(void **state)
{
	uint8_t bytes[5] = { 0 };

	(void)state;
	assert_int_equal(base64_parse("Zm9vYmFy", bytes, 4), 4);
	assert_memory_equal(bytes, "foob\0", 5);
	assert_int_equal(base64_parse("Zm9vYmF*", bytes, 4), -EINVAL);
}

/* ---- NET_RECONFIG ------------------------------------------------------- */

static int
parse_net(const char *text, struct net_request *ret, struct json_error *error)
{
	return net_request_parse(text, strlen(text), ret, error);
}

static void
test_net_reconfig_has_three_dotted_quads(void **state)
{
	struct net_request request;
	struct json_error error;

	(void)state;
	assert_int_equal(parse_net("{\"ip\":\"10.0.9.2\",\"netmask\":\"255.255.255.0\","
				   "\"gateway\":\"10.0.9.1\",\"more\":1}",
			     &request, &error),
	    0);
	assert_int_equal(ntohl(request.address.s_addr), 0x0a000902);
	assert_int_equal(ntohl(request.netmask.s_addr), 0xffffff00);
	assert_int_equal(ntohl(request.gateway.s_addr), 0x0a000901);
	assert_string_equal(request.gateway_text, "10.0.9.1");
}

static void
test_net_reconfig_that_cannot_be_carried_out_names_the_member(void **state)
{
	static const char *const wrong[][2] = {
		{ "{\"netmask\":\"255.0.0.0\",\"gateway\":\"10.0.0.1\"}", "'ip' is missing" },
		{ "{\"ip\":\"10.0.0.2\",\"gateway\":\"10.0.0.1\"}", "'netmask' is missing" },
		{ "{\"ip\":\"10.0.0.2\",\"netmask\":\"255.0.0.0\"}", "'gateway' is missing" },
		{ "{\"ip\":\"10.0.0.2/8\",\"netmask\":\"255.0.0.0\",\"gateway\":\"10.0.0.1\"}",
		    "'ip'" },
		{ "{\"ip\":\"0.0.0.0\",\"netmask\":\"255.0.0.0\",\"gateway\":\"10.0.0.1\"}",
		    "'ip'" },
		{ "{\"ip\":\"10.0.0.2\",\"netmask\":\"255.0.255.0\",\"gateway\":\"10.0.0.1\"}",
		    "'netmask'" },
		{ "{\"ip\":\"10.0.0.2\",\"netmask\":\"255.0.0.0\",\"gateway\":null}", "'gateway'" },
	};
	struct net_request request;
	struct json_error error;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(parse_net(wrong[i][0], &request, &error), -EINVAL);
		assert_non_null(strstr(error.text, wrong[i][1]));
	}
}

static void
test_every_prefix_is_a_netmask(void **state)
{
	(void)state;
	for (unsigned prefix = 0; prefix <= 32; prefix++) {
		struct in_addr mask = {
			.s_addr = htonl(prefix == 0 ? 0 : UINT32_MAX << (32 - prefix)),
		};
		struct net_request request;
		struct json_error error;
		char text[128];

		(void)snprintf(text, sizeof(text),
		    "{\"ip\":\"10.0.0.2\",\"netmask\":\"%s\",\"gateway\":\"10.0.0.1\"}",
		    inet_ntoa(mask));
		assert_int_equal(parse_net(text, &request, &error), 0);
		assert_int_equal(request.netmask.s_addr, mask.s_addr);
	}
}

static void
test_the_exit_with_times_is_32_bytes_little_endian(void **state)
{
	const uint32_t times[NET_REQUEST_TIMES] = { 1, 2, 3, 4, 0x01020304, UINT32_MAX };
	uint8_t bytes[VMM_GUEST_NET_EXIT_LEN];

	(void)state;
	memset(bytes, 0xee, sizeof(bytes));
	net_request_exit_format(bytes, times);
	assert_int_equal(wire_get_u32(bytes), 0);
	assert_int_equal(wire_get_u32(bytes + 4), 0);
	for (int i = 0; i < NET_REQUEST_TIMES; i++)
		assert_int_equal(wire_get_u32(bytes + 8 + 4 * i), times[i]);
}

/* ---- WAIT_PORT and CONNECT ----------------------------------------------- */

static void
test_wait_port_needs_a_port_and_may_have_a_timeout(void **state)
{
	const char *text = "{\"port\":8080,\"timeout_ms\":18446744073709551615}";
	struct port_wait wait;
	struct json_error error;

	(void)state;
	assert_int_equal(port_wait_parse(text, strlen(text), &wait, &error), 0);
	assert_int_equal(wait.port, 8080);
	assert_true(wait.timeout_ms == UINT64_MAX);
	assert_int_equal(port_wait_parse("{\"port\":1}", 10, &wait, &error), 0);
	assert_int_equal(wait.timeout_ms, 0);
	assert_int_equal(port_wait_parse("{}", 2, &wait, &error), -EINVAL);
	assert_string_equal(error.text, "member 'port' is missing");
}

static int
parse_target(const char *text, struct port_target *ret, struct json_error *error)
{
	return port_target_parse(text, strlen(text), ret, error);
}

static void
test_connect_goes_to_an_address_of_either_family(void **state)
{
	struct port_target target;
	struct json_error error;

	(void)state;
	assert_int_equal(parse_target("{\"port\":80}", &target, &error), 0);
	assert_int_equal(target.address.in.sin_family, AF_INET);
	assert_int_equal(target.address.in.sin_port, htons(80));
	assert_int_equal(target.address.in.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
	assert_string_equal(target.name, "127.0.0.1:80");
	assert_int_equal(parse_target("{\"port\":65535,\"host\":\"fd00::1\"}", &target, &error), 0);
	assert_int_equal(target.address.in6.sin6_family, AF_INET6);
	assert_int_equal(target.address_len, sizeof(struct sockaddr_in6));
	assert_string_equal(target.name, "[fd00::1]:65535");
}

static void
test_connect_resolves_no_names(void **state)
{
	static const char *const wrong[] = { "localhost", "", "127.1", "127.0.0.1 ", "::1%lo",
		"[::1]" };
	struct port_target target;
	struct json_error error;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		size_t len;
		char *text = port_target_format(wrong[i], 80, NULL, &len);

		assert_int_equal(port_target_parse(text, len, &target, &error), -EINVAL);
		assert_non_null(strstr(error.text, "member 'host'"));
		free(text);
	}
	assert_int_equal(parse_target("{\"port\":0}", &target, &error), -EINVAL);
	assert_int_equal(parse_target("{\"host\":\"::1\"}", &target, &error), -EINVAL);
}

static void
test_connect_goes_to_a_unix_socket_by_a_path_that_fits(void **state)
{
	struct port_target target;
	struct json_error error;
	char path[sizeof(target.address.un.sun_path) + 1];
	size_t len;
	char *text;

	(void)state;
	assert_int_equal(parse_target("{\"path\":\"/run/a.sock\"}", &target, &error), 0);
	assert_int_equal(target.address.un.sun_family, AF_UNIX);
	assert_string_equal(target.address.un.sun_path, "/run/a.sock");
	assert_int_equal(target.address_len, sizeof(struct sockaddr_un));
	assert_string_equal(target.name, "/run/a.sock");
	memset(path, '/', sizeof(path));
	for (size_t i = 1; i <= 2; i++) {
		path[sizeof(path) - i] = '\0';
		text = port_target_format(NULL, 0, path, &len);
		assert_int_equal(
		    port_target_parse(text, len, &target, &error), i == 1 ? -EINVAL : 0);
		free(text);
	}
	assert_string_equal(target.name, path);
}

static void
test_connect_takes_a_port_or_a_path(void **state)
{
	static const char *const wrong[] = { "{}", "{\"path\":\"\"}", "{\"path\":\"run/a\"}",
		"{\"path\":\"/run/a\",\"port\":1}" };
	struct port_target target;
	struct json_error error;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(parse_target(wrong[i], &target, &error), -EINVAL);
		assert_non_null(strstr(error.text, "'path'"));
	}
}

/* ---- RESTORED ------------------------------------------------------------ */

static void
test_restored_reads_what_a_host_writes(void **state)
{
	static struct restored_request request;
	struct start_env env[] = { { "A", "" }, { "B", "2=3" } };
	struct restored_format format = {
		.unix_ns = 1700000000123456789,
		.entropy = (const uint8_t *)"0123456789abcdef",
		.entropy_len = 16,
		.has_generation = true,
		.generation = UINT64_MAX,
		.hostname = "clone-7",
		.has_env = true,
		.env = env,
		.env_count = 2,
		.machine_id = "0123456789ABCDEF0123456789ABCDEF",
		.ip = "10.0.9.2",
		.netmask = "255.255.255.0",
		.gateway = "10.0.9.1",
	};
	struct json_error error;
	size_t len;
	char *text = restored_request_format(&format, &len);

	(void)state;
	assert_int_equal(restored_request_parse(text, len, &request, &error), 0);
	assert_true(request.have & 1u << RESTORED_CLOCK);
	assert_true(request.unix_ns == format.unix_ns);
	assert_int_equal(request.entropy_len, 16);
	assert_memory_equal(request.entropy, "0123456789abcdef", 16);
	assert_true(request.have & 1u << RESTORED_NET);
	assert_string_equal(request.errors[RESTORED_NET].text, "");
	assert_true(request.have & 1u << RESTORED_GENERATION);
	assert_true(request.generation == UINT64_MAX);
	assert_string_equal(request.hostname, "clone-7");
	assert_int_equal(request.env_count, 2);
	assert_string_equal(request.env[1].name, "B");
	assert_string_equal(request.env[1].value, "2=3");
	assert_string_equal(request.machine_id, "0123456789abcdef0123456789abcdef");
	assert_string_equal(request.net.gateway_text, "10.0.9.1");
	restored_request_done(&request);
	free(text);
}

static void
test_restored_asks_for_nothing_that_is_not_given(void **state)
{
	static struct restored_request request;
	struct json_error error;

	(void)state;
	assert_int_equal(restored_request_parse("{}", 2, &request, &error), 0);
	assert_false(request.have & 1u << RESTORED_CLOCK);
	assert_false(request.have & 1u << RESTORED_NET);
	assert_int_equal(request.entropy_len, 0);
	restored_request_done(&request);
}

static unsigned
steps_of(const char *text)
{
	static struct restored_request request;
	struct json_error error;
	unsigned have;

	assert_int_equal(restored_request_parse(text, strlen(text), &request, &error), 0);
	have = request.have;
	assert_int_equal(request.errors[RESTORED_THAW].code != 0, have == 1u << RESTORED_THAW);
	restored_request_done(&request);
	return have;
}

static void
test_restored_thaws_unless_it_is_told_not_to(void **state)
{
	const unsigned both = 1u << RESTORED_THAW_FILES | 1u << RESTORED_THAW;

	(void)state;
	assert_int_equal(steps_of("{}"), both);
	assert_int_equal(steps_of("{\"thaw\":true}"), both);
	assert_int_equal(steps_of("{\"thaw\":false}"), 1u << RESTORED_HOLD);
	/* What makes no sense is told, and does neither. */
	assert_int_equal(steps_of("{\"thaw\":0}"), 1u << RESTORED_THAW);
	assert_int_equal(steps_of("{\"thaw\":null}"), 1u << RESTORED_THAW);
}

static void
test_restored_with_no_variables_asks_for_that(void **state)
{
	static struct restored_request request;
	struct json_error error;

	(void)state;
	assert_int_equal(restored_request_parse("{\"env\":{}}", 10, &request, &error), 0);
	assert_true(request.have & 1u << RESTORED_ENV);
	assert_int_equal(request.env_count, 0);
	restored_request_done(&request);
}

static void
test_restored_with_addresses_that_are_none_is_not_bad_as_a_whole(void **state)
{
	const char *text = "{\"unix_ns\":-1,\"net\":{\"ip\":\"x\",\"netmask\":\"255.0.0.0\","
			   "\"gateway\":\"10.0.0.1\"}}";
	static struct restored_request request;
	struct json_error error;

	(void)state;
	assert_int_equal(restored_request_parse(text, strlen(text), &request, &error), 0);
	assert_true(request.have & 1u << RESTORED_CLOCK);
	assert_true(request.have & 1u << RESTORED_NET);
	assert_non_null(strstr(request.errors[RESTORED_NET].text, "'ip'"));
	restored_request_done(&request);
}

static void
test_restored_draws_a_machine_id_where_it_is_true(void **state)
{
	static struct restored_request request;
	const struct restored_format format = { .entropy_len = 0, .machine_id = "" };
	struct json_error error;
	size_t len;
	char *text = restored_request_format(&format, &len);

	(void)state;
	assert_string_equal(text, "{\"unix_ns\":0,\"machine_id\":true}");
	assert_int_equal(restored_request_parse(text, len, &request, &error), 0);
	assert_true(request.have & 1u << RESTORED_MACHINE_ID);
	assert_string_equal(request.machine_id, "");
	restored_request_done(&request);
	free(text);
}

static void
test_restored_says_what_failed(void **state)
{
	struct restored_status status = {
		.times_us[RESTORED_NET] = 7, .total_us = 9, .errors_count = 1
	};
	size_t len;
	char *text;

	(void)state;
	(void)strlcpy(status.errors[0], "net: no", sizeof(status.errors[0]));
	text = restored_status_format(&status, &len);
	assert_string_equal(text, "{\"event\":\"restored\",\"clock_us\":0,\"entropy_us\":0,"
				  "\"generation_us\":0,\"thaw_files_us\":0,\"hold_us\":0,"
				  "\"hostname_us\":0,\"machine_id_us\":0,\"env_us\":0,"
				  "\"net_us\":7,\"thaw_us\":0,\"total_us\":9,"
				  "\"errors\":[\"net: no\"]}");
	free(text);
}

/* ---- ATTACH and FORGET ---------------------------------------------------- */

static struct attach_request
parse_attach(uint8_t type, const char *text)
{
	struct attach_request request;
	struct json_error error;

	if (attach_request_parse(type, text, strlen(text), &request, &error) != 0)
		fail_msg("%s: %s", text, error.text);
	return request;
}

static void
assert_attach_refused(uint8_t type, const char *text, const char *word)
{
	struct attach_request request;
	struct json_error error;

	assert_int_equal(attach_request_parse(type, text, strlen(text), &request, &error), -EINVAL);
	if (strstr(error.text, word) == NULL)
		fail_msg("%s: '%s' does not say %s", text, error.text, word);
}

static void
test_attach_asks_for_the_input_and_all_there_is_unless_told_otherwise(void **state)
{
	struct attach_request request = parse_attach(VMM_GUEST_ATTACH, "{\"name\":\"a\"}");

	(void)state;
	assert_string_equal(request.name, "a");
	assert_false(request.has_session || request.has_instance || request.has_from);
	assert_false(request.has_tail || request.report);
	assert_true(request.input);
	attach_request_done(&request);
	request = parse_attach(
	    VMM_GUEST_ATTACH, "{\"session\":0,\"from\":0,\"input\":false,\"instance\":\"\"}");
	assert_true(request.has_session && request.has_from && request.has_instance);
	assert_false(request.input);
	attach_request_done(&request);
}

static void
test_attach_and_forget_name_one_session_by_number_or_name(void **state)
{
	static const uint8_t types[] = { VMM_GUEST_ATTACH, VMM_GUEST_FORGET };

	(void)state;
	for (size_t i = 0; i < sizeof(types); i++) {
		assert_attach_refused(types[i], "{}", "'session'");
		assert_attach_refused(types[i], "{\"instance\":\"a\"}", "'name'");
		assert_attach_refused(types[i], "{\"session\":1,\"name\":\"a\"}", "'session'");
		assert_attach_refused(types[i], "{\"session\":0,\"name\":\"a\"}", "'name'");
		assert_attach_refused(types[i], "{\"name\":\"\"}", "'name'");
		assert_attach_refused(types[i], "{\"name\":\"a/b\"}", "'name'");
		assert_attach_refused(types[i], "{\"name\":null}", "'name'");
		assert_attach_refused(types[i], "{\"session\":-1}", "'session'");
		assert_attach_refused(types[i], "{\"session\":1,\"instance\":1}", "'instance'");
	}
}

static void
test_attach_begins_at_an_offset_or_with_the_last_bytes_and_not_both(void **state)
{
	(void)state;
	assert_attach_refused(VMM_GUEST_ATTACH, "{\"session\":1,\"from\":0,\"tail\":0}", "'tail'");
	assert_attach_refused(VMM_GUEST_ATTACH, "{\"session\":1,\"from\":-1}", "'from'");
	assert_attach_refused(VMM_GUEST_ATTACH, "{\"session\":1,\"tail\":1.5}", "'tail'");
}

static void
test_forget_has_no_members_of_attach(void **state)
{
	struct attach_request request =
	    parse_attach(VMM_GUEST_FORGET, "{\"session\":7,\"from\":-1,\"input\":1}");

	(void)state;
	assert_int_equal(request.session, 7);
	assert_false(request.has_from);
	attach_request_done(&request);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_base64_is_as_in_the_rfc_both_ways),
		cmocka_unit_test(test_what_is_not_base64_is_refused),
		cmocka_unit_test(test_base64_above_the_size_is_checked_and_dropped),
		cmocka_unit_test(test_net_reconfig_has_three_dotted_quads),
		cmocka_unit_test(test_net_reconfig_that_cannot_be_carried_out_names_the_member),
		cmocka_unit_test(test_every_prefix_is_a_netmask),
		cmocka_unit_test(test_the_exit_with_times_is_32_bytes_little_endian),
		cmocka_unit_test(test_wait_port_needs_a_port_and_may_have_a_timeout),
		cmocka_unit_test(test_connect_goes_to_an_address_of_either_family),
		cmocka_unit_test(test_connect_resolves_no_names),
		cmocka_unit_test(test_connect_goes_to_a_unix_socket_by_a_path_that_fits),
		cmocka_unit_test(test_connect_takes_a_port_or_a_path),
		cmocka_unit_test(test_restored_reads_what_a_host_writes),
		cmocka_unit_test(test_restored_asks_for_nothing_that_is_not_given),
		cmocka_unit_test(test_restored_with_addresses_that_are_none_is_not_bad_as_a_whole),
		cmocka_unit_test(test_restored_with_no_variables_asks_for_that),
		cmocka_unit_test(test_restored_thaws_unless_it_is_told_not_to),
		cmocka_unit_test(test_restored_draws_a_machine_id_where_it_is_true),
		cmocka_unit_test(test_restored_says_what_failed),
		cmocka_unit_test(
		    test_attach_asks_for_the_input_and_all_there_is_unless_told_otherwise),
		cmocka_unit_test(test_attach_and_forget_name_one_session_by_number_or_name),
		cmocka_unit_test(
		    test_attach_begins_at_an_offset_or_with_the_last_bytes_and_not_both),
		cmocka_unit_test(test_forget_has_no_members_of_attach),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
