/*
 * environment: what a session's program finds in its environment.
 *
 * SPDX-License-Identifier: MIT
 */
#include "session/run/environment.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "shared/given_env.h"

#define ENVIRONMENT_LANG "C.UTF-8"
#define ENVIRONMENT_TTY_TERM "xterm-256color"
#define ENVIRONMENT_OURS_MAX 8

static bool
environment_has(const struct start_request *request, const char *name)
{
	for (size_t i = 0; i < request->env_count; i++) {
		if (strcmp(request->env[i].name, name) == 0)
			return true;
	}
	return false;
}

struct environment_list {
	struct start_env entries[ENVIRONMENT_OURS_MAX];
	size_t count;
};

/* One of ours, unless the host has its own of that name, or there is no value. */
static void
environment_add(struct environment_list *ours, const struct start_request *request,
    const char *name, const char *value)
{
	if (value == NULL || environment_has(request, name))
		return;
	ours->entries[ours->count++] = (struct start_env){ .name = name, .value = value };
}

static size_t
environment_size(const struct start_env *entries, size_t count)
{
	size_t size = 0;

	for (size_t i = 0; i < count; i++)
		size += strlen(entries[i].name) + 1 + strlen(entries[i].value) + 1;
	return size;
}

/* Writes the entries as "NAME=value" from TEXT on; returns where the next goes. */
static char *
environment_write(
    const struct start_env *entries, size_t count, char **variables, char *text, const char **path)
{
	for (size_t i = 0; i < count; i++) {
		variables[i] = text;
		text = stpcpy(text, entries[i].name);
		*text++ = '=';
		if (strcmp(entries[i].name, "PATH") == 0)
			*path = text;
		text = stpcpy(text, entries[i].value) + 1;
	}
	return text;
}

int
environment_make(const struct start_request *request, const struct run_as *user, const char *home,
    const char *term, struct environment *ret)
{
	struct environment_list ours = { .count = 0 };
	struct environment made = { .path = ENVIRONMENT_PATH };
	size_t count;
	size_t pointers;
	char *text;

	environment_add(&ours, request, "PATH", ENVIRONMENT_PATH);
	environment_add(&ours, request, "HOME", user != NULL ? user->home : home);
	environment_add(&ours, request, "TERM", request->tty ? ENVIRONMENT_TTY_TERM : term);
	environment_add(&ours, request, "LANG", ENVIRONMENT_LANG);
	if (user != NULL) {
		environment_add(&ours, request, "USER", user->name);
		environment_add(&ours, request, "LOGNAME", user->name);
		environment_add(&ours, request, "SHELL", user->shell);
	}
	count = ours.count + request->env_count;
	pointers = (count + 1) * sizeof(char *);
	made.variables = malloc(pointers + environment_size(ours.entries, ours.count) +
				environment_size(request->env, request->env_count));
	if (made.variables == NULL)
		return -ENOMEM;
	text = (char *)made.variables + pointers;
	text = environment_write(ours.entries, ours.count, made.variables, text, &made.path);
	(void)environment_write(
	    request->env, request->env_count, made.variables + ours.count, text, &made.path);
	made.variables[count] = NULL;
	*ret = made;
	return 0;
}

static size_t
environment_count(const char *text, size_t len)
{
	size_t count = 0;

	for (size_t i = 0; i < len; i++)
		count += text[i] == '\0';
	return count;
}

/* Puts the variables of TEXT that REQUEST has not itself behind the COUNT ones of ENV; cuts
 * TEXT. What is not a variable was written by nobody, and is left out. Returns how many
 * there are then. */
static size_t
environment_add_given(const struct start_request *request, char *text, size_t len,
    struct start_env *env, size_t count)
{
	for (char *end = text + len; text < end; text += strlen(text) + 1) {
		char *equals = strchr(text, '=');
		const char *name = text;

		if (equals == NULL || equals == text)
			continue;
		*equals = '\0';
		text = equals + 1;
		if (!environment_has(request, name))
			env[count++] = (struct start_env){ .name = name, .value = text };
	}
	return count;
}

int
environment_make_given(const struct scoreboard *board, const struct start_request *request,
    const struct run_as *user, const char *home, const char *term, struct environment *ret)
{
	struct start_request with = { .tty = request->tty, .env_count = request->env_count };
	char *text;
	size_t len;
	int r = given_env_read(board, &text, &len);

	if (r < 0 || text == NULL)
		return r < 0 ? r : environment_make(request, user, home, term, ret);
	with.env = calloc(with.env_count + environment_count(text, len), sizeof(*with.env));
	if (with.env != NULL) {
		for (size_t i = 0; i < with.env_count; i++)
			with.env[i] = request->env[i];
		with.env_count =
		    environment_add_given(request, text, len, with.env, with.env_count);
		r = environment_make(&with, user, home, term, ret);
	} else {
		r = -ENOMEM;
	}
	free(with.env);
	free(text);
	return r;
}

void
environment_done(struct environment *environment)
{
	free(environment->variables);
	*environment = (struct environment){ 0 };
}
