/*
 * env_option: "--env NAME=VALUE".
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/env_option.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/command.h"
#include "platform/stream.h"

void
env_option_init(struct env_option *option, int argc, size_t more)
{
	option->env = calloc((size_t)argc + more, sizeof(*option->env));
	if (option->env == NULL)
		exit(command_fail("out of memory"));
	option->size = (size_t)argc + more;
}

void
env_option_done(struct env_option *option)
{
	for (size_t i = 0; i < option->lines_count; i++)
		free(option->lines[i]);
	free(option->lines);
	free(option->env);
	*option = (struct env_option){ 0 };
}

/* LINE is the option's from here on, which has room for one more variable. */
static void
env_option_keep(struct env_option *option, char *line)
{
	struct start_env *env = reallocarray(option->env, option->size + 1, sizeof(*option->env));
	char **lines = reallocarray(option->lines, option->lines_count + 1, sizeof(*option->lines));

	if (env == NULL || lines == NULL)
		exit(command_fail("out of memory"));
	option->env = env;
	option->size++;
	option->lines = lines;
	option->lines[option->lines_count++] = line;
}

int
env_option_take_file(const struct options_row *row, char *text)
{
	FILE CLEANUP_FILE *file = fopen(text, "re");
	char *line = NULL;
	size_t size = 0;
	ssize_t len;
	int r = 0;

	if (file == NULL)
		exit(command_fail("can't read %s: %s", text, strerror(errno)));
	while (r == 0 && (len = getline(&line, &size, file)) >= 0) {
		if (len > 0 && line[len - 1] == '\n')
			line[--len] = '\0';
		if (len > 0 && line[len - 1] == '\r')
			line[--len] = '\0';
		if (line[strspn(line, " \t")] == '\0' || line[0] == '#')
			continue;
		env_option_keep(row->into, line);
		r = strlen(line) == (size_t)len ? env_option_take(row, line) : -EINVAL;
		line = NULL;
		size = 0;
	}
	if (r == 0 && ferror(file))
		exit(command_fail("can't read %s: %s", text, strerror(errno)));
	free(line);
	return r;
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
