/*
 * message: members read and written by a table.
 *
 * SPDX-License-Identifier: MIT
 */
#include "protocol/message.h"

#include <errno.h>
#include <stdlib.h>

#include "protocol/message_kind.h"

static message_read_fn message_read_object, message_read_array;
static message_make_fn message_make_object, message_make_array;
static message_is_initial_fn message_is_initial_object, message_is_initial_array;

/* clang-format off */
static const struct message_kind message_kinds[] = {
	[MESSAGE_FLAG] = { message_read_flag, message_make_flag, message_is_initial_number },
	[MESSAGE_UNSIGNED] = { message_read_unsigned, message_make_unsigned, message_is_initial_number },
	[MESSAGE_SIGNED] = { message_read_signed, message_make_signed, message_is_initial_number },
	[MESSAGE_REAL] = { message_read_real, message_make_real, message_is_initial_number },
	[MESSAGE_TEXT] = { message_read_text, message_make_text, message_is_initial_text },
	[MESSAGE_NAME] = { message_read_name, message_make_text, message_is_initial_text },
	[MESSAGE_BYTES] = { message_read_text, message_make_bytes, message_is_initial_text },
	[MESSAGE_WORD] = { message_read_word, message_make_word, message_is_initial_number },
	[MESSAGE_OBJECT] = { message_read_object, message_make_object, message_is_initial_object },
	[MESSAGE_TEXTS] = { message_read_array, message_make_array, message_is_initial_array },
	[MESSAGE_OBJECTS] = { message_read_array, message_make_array, message_is_initial_array },
};
/* clang-format on */

static const struct message_kind *
message_kind(const struct message_member *member)
{
	return member->kind == MESSAGE_CUSTOM ? member->more : &message_kinds[member->kind];
}

static bool
message_is_in(const struct message *message, const struct message_member *member)
{
	return member->sets == 0 || (member->sets & message->set) != 0;
}

static bool
message_is_left_out(const struct message_member *member, const void *base)
{
	unsigned bits = member->bit != 0 ? member->bit : UINT8_MAX;

	if (member->flags & (MESSAGE_NEEDED | MESSAGE_ALWAYS))
		return false;
	if (member->flags & MESSAGE_OPTIONAL)
		return (*(const uint8_t *)message_at(base, member->beside) & bits) == 0;
	return message_kind(member)->is_initial(member, base);
}

static struct json_object *
message_make(const struct message *message, const void *base)
{
	struct json_object *CLEANUP_JSON object = json_object_new_object();
	struct json_object *made;
	int r = object != NULL ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < message->count; i++) {
		const struct message_member *member = &message->members[i];

		if (message_is_in(message, member) && !message_is_left_out(member, base))
			r = json_add(
			    object, member->name, message_kind(member)->make(member, base));
	}
	if (r < 0)
		return NULL;
	made = object;
	object = NULL;
	return made;
}

static void
message_read_object(const struct message_member *member, struct json_object *value, void *base,
    struct json_error *error)
{
	if (json_object_is_type(value, json_type_object))
		message_read(member->more, value, base, error);
	else
		json_fail_member(error, member->name, "an object is needed");
}

static struct json_object *
message_make_object(const struct message_member *member, const void *base)
{
	return message_make(member->more, base);
}

static bool
message_is_initial_object(const struct message_member *member, const void *base)
{
	const struct message *message = member->more;
	size_t i = 0;

	while (i < message->count && message_is_left_out(&message->members[i], base))
		i++;
	return i == message->count;
}

static size_t
message_count(const struct message_member *member, const void *base)
{
	return *(const size_t *)message_at(base, member->beside);
}

static bool
message_is_initial_array(const struct message_member *member, const void *base)
{
	return message_count(member, base) == 0;
}

static void
message_read_element(const struct message_member *member, struct json_object *value, void *place,
    struct json_error *error)
{
	if (member->kind == MESSAGE_TEXTS)
		*(const char **)place = json_string_of(value, member->name, error);
	else
		message_read_object(member, value, place, error);
}

/* One more than there are: of texts, the last is NULL. */
static void
message_read_array(const struct message_member *member, struct json_object *value, void *base,
    struct json_error *error)
{
	size_t count;
	char *block;

	if (!json_object_is_type(value, json_type_array)) {
		json_fail_member(error, member->name, "an array is needed");
		return;
	}
	count = json_object_array_length(value);
	block = calloc(count + 1, member->size);
	if (block == NULL) {
		json_fail_memory(error);
		return;
	}
	json_own(value, block);
	*(void **)message_place(base, member->offset) = block;
	*(size_t *)message_place(base, member->beside) = count;
	for (size_t i = 0; i < count; i++)
		message_read_element(
		    member, json_object_array_get_idx(value, i), block + i * member->size, error);
}

static struct json_object *
message_make_array(const struct message_member *member, const void *base)
{
	const char *element = *(const void *const *)message_at(base, member->offset);
	struct json_object *array = json_object_new_array();
	int r = array != NULL ? 0 : -ENOMEM;

	for (size_t i = message_count(member, base); r == 0 && i > 0; i--) {
		r = json_append(
		    array, member->kind == MESSAGE_TEXTS
			       ? json_object_new_string(*(const char *const *)(const void *)element)
			       : message_make(member->more, element));
		element += member->size;
	}
	if (r < 0)
		json_put(&array);
	return array;
}

/* ---- messages ------------------------------------------------------------ */

/* Returns whether OBJECT has it; NULL has nothing. */
static bool
message_read_member(const struct message_member *member, struct json_object *object, void *base,
    struct json_error *error)
{
	struct json_object *value;
	bool is_given = json_object_object_get_ex(object, member->name, &value);

	if (is_given) {
		message_kind(member)->read(member, value, base, error);
		if (member->flags & MESSAGE_OPTIONAL)
			*(uint8_t *)message_place(base, member->beside) |= member->bit;
	} else if (member->flags & MESSAGE_NEEDED) {
		json_fail(error, "member '%s' is missing", member->name);
	} else if (!(member->flags & MESSAGE_OPTIONAL)) {
		message_set_initial(member, base);
	}
	return is_given;
}

void
message_read(
    const struct message *message, struct json_object *object, void *base, struct json_error *error)
{
	/* Most messages have few of the members that they could have. */
	int left = json_object_object_length(object);

	for (size_t i = 0; i < message->count; i++) {
		const struct message_member *member = &message->members[i];

		if (message_is_in(message, member) &&
		    message_read_member(member, left > 0 ? object : NULL, base, error))
			left--;
	}
}

int
message_parse(const struct message *message, const char *text, size_t len, void *base,
    struct json_object **ret_json, struct json_error *error)
{
	struct json_object *CLEANUP_JSON object = NULL;
	int r = json_parse_object(text, len, &object, error);

	if (r == 0) {
		message_read(message, object, base, error);
		r = error->code;
	}
	if (r == 0 && ret_json != NULL) {
		*ret_json = object;
		object = NULL;
	}
	return r;
}

char *
message_format(const struct message *message, const void *base, size_t *ret_len)
{
	struct json_object *CLEANUP_JSON object = message_make(message, base);

	return object != NULL ? json_to_text(object, ret_len) : NULL;
}
