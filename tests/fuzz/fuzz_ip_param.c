/*
 * ip= and vmm_agent.dns=, a newline between, to the text of a resolv.conf.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fuzz.h"

#include "protocol/ip_param.h"
#include "protocol/name_servers.h"

static void
check_servers(const struct name_servers *servers)
{
	char text[NAME_SERVERS_TEXT_SIZE];
	size_t lines = 0;

	FUZZ_CHECK(servers->count >= 1 && servers->count <= NAME_SERVERS_MAX);
	name_servers_format(servers, text);
	for (const char *c = text; *c != '\0'; c++)
		lines += *c == '\n';
	FUZZ_CHECK(lines == servers->count);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *value = fuzz_string(data, size);
	char *newline = strchr(value, '\n');
	const char *option = newline != NULL ? newline + 1 : "";
	char problem[IP_PARAM_PROBLEM_SIZE] = "";
	struct name_servers servers;
	struct ip_param param;

	if (newline != NULL)
		*newline = '\0';
	ip_param_parse(value, &param);
	for (int i = 0; i < IP_PARAM_FIELDS; i++)
		FUZZ_CHECK(memchr(param.field[i], '\0', IP_PARAM_FIELD_SIZE) != NULL);
	if (ip_param_check(&param, problem) < 0)
		FUZZ_CHECK(problem[0] != '\0' && strlen(problem) < sizeof(problem));
	if (name_servers_check_option(option) == 0 &&
	    name_servers_at_boot(option, value, &servers, problem) == 0)
		check_servers(&servers);
	free(value);
	return 0;
}
