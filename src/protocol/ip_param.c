/*
 * ip_param: the value of the kernel's `ip=`.
 *
 * SPDX-License-Identifier: MIT
 */
#include "protocol/ip_param.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "platform/text.h"

static const char *const ip_param_names[IP_PARAM_FIELDS] = {
	[IP_PARAM_CLIENT] = "client address",
	[IP_PARAM_SERVER] = "server address",
	[IP_PARAM_GATEWAY] = "gateway",
	[IP_PARAM_NETMASK] = "netmask",
	[IP_PARAM_HOSTNAME] = "hostname",
	[IP_PARAM_DEVICE] = "device",
	[IP_PARAM_AUTOCONF] = "autoconfiguration",
	[IP_PARAM_DNS0] = "first name server",
	[IP_PARAM_DNS1] = "second name server",
};

/* ic_proto_name() of the kernel's net/ipv4/ipconfig.c. */
static int
ip_param_is_autoconf(const char *word)
{
	static const char *const words[] = { "on", "any", "off", "none", "dhcp", "bootp", "rarp",
		"both" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(word, words[i]) == 0)
			return 1;
	}
	return 0;
}

void
ip_param_parse(const char *value, struct ip_param *ret)
{
	*ret = (struct ip_param){ 0 };
	if (ip_param_is_autoconf(value)) {
		(void)strlcpy(ret->field[IP_PARAM_AUTOCONF], value, IP_PARAM_FIELD_SIZE);
		return;
	}
	for (int i = 0; i < IP_PARAM_FIELDS; i++) {
		size_t len = strcspn(value, ":");
		size_t kept = len < IP_PARAM_FIELD_SIZE ? len : IP_PARAM_FIELD_SIZE - 1;

		memcpy(ret->field[i], value, kept);
		value += len;
		if (*value == '\0')
			return;
		value++;
	}
}

int
ip_param_parse_quad(const char *text, struct in_addr *ret)
{
	return inet_pton(AF_INET, text, ret) == 1 ? 0 : -EINVAL;
}

int
ip_param_check(const struct ip_param *param, char problem[IP_PARAM_PROBLEM_SIZE])
{
	static const enum ip_param_field needed[] = { IP_PARAM_CLIENT, IP_PARAM_GATEWAY,
		IP_PARAM_NETMASK };
	struct in_addr ignored;

	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		const char *name = ip_param_names[needed[i]];
		const char *text = param->field[needed[i]];

		if (text[0] == '\0') {
			(void)text_format(
			    problem, IP_PARAM_PROBLEM_SIZE, "the %s is missing", name);
			return -EINVAL;
		}
		if (ip_param_parse_quad(text, &ignored) < 0) {
			(void)text_format(problem, IP_PARAM_PROBLEM_SIZE,
			    "the %s '%s' is not a dotted quad", name, text);
			return -EINVAL;
		}
	}
	return 0;
}
