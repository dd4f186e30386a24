/*
 * SPDX-License-Identifier: MIT
 */
#include "ctl/core/client.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "client/agent_address.h"

/* Two paths, and words. */
#define CLIENT_ERROR_WHOLE (2 * PATH_MAX + 512)

void
client_fail(struct client_error *error, const char *format, ...)
{
	const size_t half = sizeof(error->text) / 2;
	char whole[CLIENT_ERROR_WHOLE];
	va_list args;
	size_t len;

	va_start(args, format);
	(void)vsnprintf(whole, sizeof(whole), format, args);
	va_end(args);
	len = strlen(whole);
	if (len < sizeof(error->text))
		memcpy(error->text, whole, len + 1);
	else
		/* A long path: what it is about stands in front, and why at the end. */
		(void)snprintf(error->text, sizeof(error->text), "%.*s...%s", (int)half - 4, whole,
		    whole + len - half);
}

int
client_check_target(const struct client_target *target, struct client_error *error)
{
	const char *text = target->address;
	struct address address;
	const char *why;

	if (text[0] == '\0') {
		client_fail(error, "no address: %s", target->hint);
		return -EINVAL;
	}
	if (agent_address_parse(text, &address, &why) < 0) {
		client_fail(error, "'%s' is not an address: %s", text, why);
		return -EINVAL;
	}
	return 0;
}
