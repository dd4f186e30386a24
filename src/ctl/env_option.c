/*
 * env_option: "--env NAME=VALUE".
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/env_option.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/command.h"

void
env_option_init(struct env_option *option, int argc, size_t more)
{
	option->env = calloc((size_t)argc + more, sizeof(*option->env));
	if (option->env == NULL)
		exit(command_fail("out of memory"));
}

int
env_option_take(const struct options_row *row, char *text)
{
	struct env_option *option = row->into;
	char *equals = strchr(text, '=');
	const char *value = equals != NULL ? equals + 1 : getenv(text);

	if (text[0] == '\0' || equals == text)
		return -EINVAL;
	if (equals != NULL)
		*equals = '\0';
	if (value != NULL)
		option->env[option->count++] = (struct start_env){ .name = text, .value = value };
	return 0;
}
