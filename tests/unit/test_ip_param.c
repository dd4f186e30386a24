/*
 * The kernel's ip=, the name servers that follow from it, and what the operator
 * may say instead.
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

#include "protocol/ip_param.h"
#include "protocol/name_servers.h"

/* What becomes of one spelling: a resolv.conf, or a problem that names a word. */
struct spelling {
	const char *value;
	const char *text;    /* NULL: it is a problem … */
	const char *problem; /* … with this in it */
};

static const struct spelling spellings[] = {
	{ "172.20.0.2::172.20.0.1:255.255.255.0::eth0:off", "nameserver 172.20.0.1\n", NULL },
	{ "172.20.0.2::172.20.0.1:255.255.255.0", "nameserver 172.20.0.1\n", NULL },
	{ "10.0.2.15::10.0.2.2:255.255.255.0:h:eth0:off:10.0.2.3", "nameserver 10.0.2.3\n", NULL },
	{ "10.0.2.15::10.0.2.2:255.255.255.0:h:eth0:off:10.0.2.3:10.0.2.4",
	    "nameserver 10.0.2.3\nnameserver 10.0.2.4\n", NULL },
	{ "10.0.2.15::10.0.2.2:255.255.255.0:h:eth0:off::10.0.2.4", "nameserver 10.0.2.4\n", NULL },
	{ "10.0.2.15::10.0.2.2:255.255.255.0:h:eth0:off:10.0.2.3:10.0.2.4:10.0.2.5",
	    "nameserver 10.0.2.3\nnameserver 10.0.2.4\n", NULL },
	{ "10.0.2.15::10.0.2.2:255.255.255.0:h:eth0:off:::", "nameserver 10.0.2.2\n", NULL },
	{ "10.0.2.15::10.0.2.2:255.255.255.0:h:eth0:off:dns:", "nameserver 10.0.2.2\n", NULL },
	{ "10.0.2.15:10.0.2.1:10.0.2.2:255.255.255.0", "nameserver 10.0.2.2\n", NULL },
	{ "", NULL, "client address is missing" },
	{ "dhcp", NULL, "client address is missing" },
	{ "off", NULL, "client address is missing" },
	{ ":::::eth0:dhcp", NULL, "client address is missing" },
	{ ":::::::::::", NULL, "client address is missing" },
	{ "10.0.2.15", NULL, "gateway is missing" },
	{ "10.0.2.15:::255.255.255.0", NULL, "gateway is missing" },
	{ "10.0.2.15::10.0.2.2", NULL, "netmask is missing" },
	{ "banana:::", NULL, "client address 'banana' is not a dotted quad" },
	{ "10.0.2::10.0.2.2:255.255.255.0", NULL, "client address '10.0.2' is not" },
	{ "010.0.2.15::10.0.2.2:255.255.255.0", NULL, "client address '010.0.2.15' is not" },
	{ "0x0a.0.2.15::10.0.2.2:255.255.255.0", NULL, "client address" },
	{ "10.0.2.256::10.0.2.2:255.255.255.0", NULL, "client address '10.0.2.256' is not" },
	{ "10.0.2.15 ::10.0.2.2:255.255.255.0", NULL, "client address '10.0.2.15 ' is not" },
	{ "10.0.2.15::10.0.2.2.1:255.255.255.0", NULL, "gateway '10.0.2.2.1' is not" },
	{ "10.0.2.15::gw:255.255.255.0", NULL, "gateway 'gw' is not" },
	{ "10.0.2.15::10.0.2.2:24", NULL, "netmask '24' is not" },
	{ "10.0.2.15::10.0.2.2:/24", NULL, "netmask '/24' is not" },
	{ "[fd00::1]:x", NULL, "client address '[fd00' is not" },
};

static void
test_each_spelling_of_ip_gives_its_name_servers_or_says_what_is_wrong(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(spellings) / sizeof(spellings[0]); i++) {
		const struct spelling *spelling = &spellings[i];
		char problem[NAME_SERVERS_PROBLEM_SIZE] = "";
		char text[NAME_SERVERS_TEXT_SIZE] = "";
		struct name_servers servers;
		int r = name_servers_at_boot("", spelling->value, &servers, problem);

		print_message("ip=%s\n", spelling->value);
		assert_int_equal(r, spelling->text != NULL ? 0 : -EINVAL);
		if (spelling->text != NULL) {
			name_servers_format(&servers, text);
			assert_string_equal(text, spelling->text);
		} else {
			assert_non_null(strstr(problem, spelling->problem));
		}
	}
}

static void
test_the_hostname_is_the_fifth_field_though_the_rest_is_missing(void **state)
{
	struct ip_param param;

	(void)state;
	ip_param_parse("::::clone-7", &param);
	assert_string_equal(param.field[IP_PARAM_HOSTNAME], "clone-7");
	ip_param_parse("::::clone-7:eth1:dhcp", &param);
	assert_string_equal(param.field[IP_PARAM_HOSTNAME], "clone-7");
	assert_string_equal(param.field[IP_PARAM_DEVICE], "eth1");
	assert_string_equal(param.field[IP_PARAM_AUTOCONF], "dhcp");
	ip_param_parse("dhcp", &param);
	assert_string_equal(param.field[IP_PARAM_CLIENT], "");
	assert_string_equal(param.field[IP_PARAM_AUTOCONF], "dhcp");
}

static void
test_a_field_is_cut_where_the_kernel_cuts_a_hostname(void **state)
{
	struct ip_param param;
	char value[256] = "::::";

	(void)state;
	memset(value + 4, 'x', 100);
	(void)strlcat(value, ":eth0", sizeof(value));
	ip_param_parse(value, &param);
	assert_int_equal(strlen(param.field[IP_PARAM_HOSTNAME]), 64);
	assert_string_equal(param.field[IP_PARAM_DEVICE], "eth0");
}

static void
test_without_ip_nothing_is_written_and_nothing_is_said(void **state)
{
	char problem[NAME_SERVERS_PROBLEM_SIZE] = "";
	struct name_servers servers;

	(void)state;
	assert_int_equal(name_servers_at_boot("", NULL, &servers, problem), -ENODATA);
	assert_int_equal(name_servers_at_boot("gateway", NULL, &servers, problem), -ENODATA);
	assert_string_equal(problem, "");
}

#define FULL "10.0.2.15::10.0.2.2:255.255.255.0:h:eth0:off:10.0.2.3"

/* The resolv.conf that OPTION makes of FULL at boot. */
static void
assert_option(const char *option, int error, const char *text)
{
	char problem[NAME_SERVERS_PROBLEM_SIZE];
	char found[NAME_SERVERS_TEXT_SIZE] = "";
	struct name_servers servers;
	int r = name_servers_at_boot(option, FULL, &servers, problem);

	assert_int_equal(r, error);
	if (r == 0)
		name_servers_format(&servers, found);
	assert_string_equal(found, text);
}

static void
test_the_operator_overrides_what_ip_says(void **state)
{
	(void)state;
	assert_option("", 0, "nameserver 10.0.2.3\n");
	assert_option("off", -ENODATA, "");
	assert_option("gateway", 0, "nameserver 10.0.2.2\n");
	assert_option("9.9.9.9", 0, "nameserver 9.9.9.9\n");
	assert_option("9.9.9.9,fd00::53", 0, "nameserver 9.9.9.9\nnameserver fd00::53\n");
}

static void
test_a_list_that_is_none_is_refused(void **state)
{
	static const char *const wrong[] = { ",", "9.9.9.9,", "9.9.9", "on", "1.1.1.1 9.9.9.9",
		"1.1.1.1,2.2.2.2,3.3.3.3,4.4.4.4", "fd00::1%eth0",
		"0000:0000:0000:0000:0000:0000:0000:0000:0000:0000" };

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(name_servers_check_option(wrong[i]), -EINVAL);
		assert_option(wrong[i], -EINVAL, "");
	}
	assert_int_equal(name_servers_check_option(""), 0);
	assert_int_equal(name_servers_check_option("off"), 0);
	assert_int_equal(name_servers_check_option("gateway"), 0);
	assert_int_equal(name_servers_check_option("1.1.1.1,2.2.2.2,::3"), 0);
}

static void
test_a_new_network_brings_its_gateway_unless_the_operator_says_otherwise(void **state)
{
	char text[NAME_SERVERS_TEXT_SIZE];
	struct name_servers servers;

	(void)state;
	assert_int_equal(name_servers_for_gateway("", "10.0.9.1", &servers), 0);
	name_servers_format(&servers, text);
	assert_string_equal(text, "nameserver 10.0.9.1\n");
	assert_int_equal(name_servers_for_gateway("gateway", "10.0.9.1", &servers), 0);
	assert_int_equal(name_servers_for_gateway("off", "10.0.9.1", &servers), -ENODATA);
	assert_int_equal(name_servers_for_gateway("9.9.9.9", "10.0.9.1", &servers), 0);
	name_servers_format(&servers, text);
	assert_string_equal(text, "nameserver 9.9.9.9\n");
}

static void
test_the_longest_text_fits(void **state)
{
	const char *longest = "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255";
	char option[NAME_SERVERS_MAX * INET6_ADDRSTRLEN];
	char text[NAME_SERVERS_TEXT_SIZE];
	struct name_servers servers;

	(void)state;
	(void)snprintf(option, sizeof(option), "%s,%s,%s", longest, longest, longest);
	assert_int_equal(name_servers_for_gateway(option, "10.0.9.1", &servers), 0);
	name_servers_format(&servers, text);
	assert_int_equal(strlen(text), 3 * (strlen("nameserver \n") + strlen(longest)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_each_spelling_of_ip_gives_its_name_servers_or_says_what_is_wrong),
		cmocka_unit_test(test_the_hostname_is_the_fifth_field_though_the_rest_is_missing),
		cmocka_unit_test(test_a_field_is_cut_where_the_kernel_cuts_a_hostname),
		cmocka_unit_test(test_without_ip_nothing_is_written_and_nothing_is_said),
		cmocka_unit_test(test_the_operator_overrides_what_ip_says),
		cmocka_unit_test(test_a_list_that_is_none_is_refused),
		cmocka_unit_test(
		    test_a_new_network_brings_its_gateway_unless_the_operator_says_otherwise),
		cmocka_unit_test(test_the_longest_text_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
