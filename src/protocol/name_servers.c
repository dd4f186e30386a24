/*
 * name_servers: which name servers a guest gets.
 *
 * SPDX-License-Identifier: MIT
 */
#include "protocol/name_servers.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "platform/text.h"
#include "protocol/ip_param.h"

#define NAME_SERVERS_OFF "off"
#define NAME_SERVERS_GATEWAY "gateway"

static int
name_servers_add(struct name_servers *servers, const char *address)
{
	struct in6_addr ignored;

	if (inet_pton(AF_INET, address, &ignored) != 1 &&
	    inet_pton(AF_INET6, address, &ignored) != 1)
		return -EINVAL;
	if (servers->count == NAME_SERVERS_MAX)
		return -EINVAL;
	(void)strlcpy(servers->address[servers->count++], address, INET6_ADDRSTRLEN);
	return 0;
}

static int
name_servers_parse_list(const char *list, struct name_servers *ret)
{
	struct name_servers servers = { .count = 0 };

	for (;;) {
		size_t len = strcspn(list, ",");
		char address[INET6_ADDRSTRLEN] = "";

		if (len >= sizeof(address))
			return -EINVAL;
		memcpy(address, list, len);
		if (name_servers_add(&servers, address) < 0)
			return -EINVAL;
		if (list[len] == '\0')
			break;
		list += len + 1;
	}
	*ret = servers;
	return 0;
}

static bool
name_servers_is_word(const char *option)
{
	return option[0] == '\0' || strcmp(option, NAME_SERVERS_OFF) == 0 ||
	       strcmp(option, NAME_SERVERS_GATEWAY) == 0;
}

int
name_servers_check_option(const char *option)
{
	struct name_servers ignored;

	return name_servers_is_word(option) ? 0 : name_servers_parse_list(option, &ignored);
}

/* A name server of ip= that is not a dotted quad is as good as none. */
static void
name_servers_add_quad(struct name_servers *servers, const char *address)
{
	struct in_addr ignored;

	if (ip_param_parse_quad(address, &ignored) == 0)
		(void)name_servers_add(servers, address);
}

int
name_servers_at_boot(const char *option, const char *ip_value, struct name_servers *ret,
    char problem[NAME_SERVERS_PROBLEM_SIZE])
{
	struct name_servers servers = { .count = 0 };
	char why[IP_PARAM_PROBLEM_SIZE];
	struct ip_param param;

	if (!name_servers_is_word(option)) {
		(void)text_format(problem, NAME_SERVERS_PROBLEM_SIZE,
		    "'%.80s' is not a list of name servers", option);
		return name_servers_parse_list(option, ret);
	}
	if (strcmp(option, NAME_SERVERS_OFF) == 0 || ip_value == NULL)
		return -ENODATA;
	ip_param_parse(ip_value, &param);
	if (ip_param_check(&param, why) < 0) {
		(void)text_format(problem, NAME_SERVERS_PROBLEM_SIZE, "ip=: %.150s", why);
		return -EINVAL;
	}
	if (option[0] == '\0') {
		name_servers_add_quad(&servers, param.field[IP_PARAM_DNS0]);
		name_servers_add_quad(&servers, param.field[IP_PARAM_DNS1]);
	}
	if (servers.count == 0)
		name_servers_add_quad(&servers, param.field[IP_PARAM_GATEWAY]);
	*ret = servers;
	return 0;
}

int
name_servers_for_gateway(const char *option, const char *gateway, struct name_servers *ret)
{
	struct name_servers servers = { .count = 0 };

	if (!name_servers_is_word(option))
		return name_servers_parse_list(option, ret);
	if (strcmp(option, NAME_SERVERS_OFF) == 0)
		return -ENODATA;
	if (name_servers_add(&servers, gateway) < 0)
		return -EINVAL;
	*ret = servers;
	return 0;
}

void
name_servers_format(const struct name_servers *servers, char text[NAME_SERVERS_TEXT_SIZE])
{
	size_t len = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < servers->count; i++)
		len += text_format(text + len, NAME_SERVERS_TEXT_SIZE - len, "nameserver %s\n",
		    servers->address[i]);
}
