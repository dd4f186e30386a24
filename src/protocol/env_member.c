/*
 * env_member: variables of an environment as a member.
 *
 * SPDX-License-Identifier: MIT
 */
#include "protocol/env_member.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/message_kind.h"
#include "protocol/start.h"

static void
env_member_read(const struct message_member *member, struct json_object *value, void *base,
    struct json_error *error)
{
	struct start_env *entry;

	if (!json_object_is_type(value, json_type_object)) {
		json_fail_member(error, member->name, "an object of strings is needed");
		return;
	}
	entry = calloc((size_t)json_object_object_length(value) + 1, sizeof(*entry));
	if (entry == NULL) {
		json_fail_memory(error);
		return;
	}
	json_own(value, entry);
	*(struct start_env **)message_place(base, member->offset) = entry;
	*(size_t *)message_place(base, member->offset + sizeof(entry)) =
	    (size_t)json_object_object_length(value);
	json_object_object_foreach(value, variable, text)
	{
		if (variable[0] == '\0' || strchr(variable, '=') != NULL)
			json_fail(error, "member '%s': '%.64s' is not a name of a variable",
			    member->name, variable);
		entry->name = variable;
		entry->value = json_string_of(text, member->name, error);
		entry++;
	}
}

static size_t
env_member_count(const struct message_member *member, const void *base)
{
	return *(const size_t *)message_at(base, member->offset + sizeof(struct start_env *));
}

static struct json_object *
env_member_make(const struct message_member *member, const void *base)
{
	const struct start_env *entry =
	    *(struct start_env *const *)message_at(base, member->offset);
	struct json_object *env = json_object_new_object();
	int r = env != NULL ? 0 : -ENOMEM;

	for (size_t i = env_member_count(member, base); r == 0 && i > 0; i--, entry++)
		r = json_add(env, entry->name, json_object_new_string(entry->value));
	if (r < 0)
		json_put(&env);
	return env;
}

static bool
env_member_is_empty(const struct message_member *member, const void *base)
{
	return env_member_count(member, base) == 0;
}

const struct message_kind env_member = { env_member_read, env_member_make, env_member_is_empty };
