/*
 * message_value: members of one value.
 *
 * SPDX-License-Identifier: MIT
 */
#include "protocol/message_kind.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "platform/text.h"
#include "protocol/session_name.h"
#include "protocol/utf8.h"
#include "vmm-guest/protocol.h"

#define MESSAGE_REAL_FORMAT "%.3f"

/* ---- numbers ------------------------------------------------------------- */

static uint64_t
message_number(const struct message_member *member, const void *base)
{
	const void *at = message_at(base, member->offset);
	bool is_signed = member->kind == MESSAGE_SIGNED;

	switch (member->size) {
	case 1:
		return *(const uint8_t *)at;
	case 2:
		return *(const uint16_t *)at;
	case 4:
		if (is_signed)
			return (uint64_t)(int64_t) * (const int32_t *)at;
		return *(const uint32_t *)at;
	default:
		return *(const uint64_t *)at;
	}
}

static void
message_set_number(const struct message_member *member, void *base, uint64_t number)
{
	void *place = message_place(base, member->offset);

	switch (member->size) {
	case 1:
		*(uint8_t *)place = (uint8_t)number;
		break;
	case 2:
		*(uint16_t *)place = (uint16_t)number;
		break;
	case 4:
		*(uint32_t *)place = (uint32_t)number;
		break;
	default:
		*(uint64_t *)place = number;
	}
}

/* A word's is the first. */
static uint64_t
message_initial_number(const struct message_member *member)
{
	return member->kind == MESSAGE_WORD ? 0 : member->initial;
}

bool
message_is_initial_number(const struct message_member *member, const void *base)
{
	return message_number(member, base) == message_initial_number(member);
}

/* json-c reads 5.0 and 1e3 as doubles: both count as numbers with a fraction. */
static bool
message_is_whole(
    const struct message_member *member, struct json_object *value, struct json_error *error)
{
	if (json_object_is_type(value, json_type_int))
		return true;
	json_fail_member(error, member->name, "a whole number is needed");
	return false;
}

static uint64_t
message_least(const struct message_member *member)
{
	static const uint32_t least[] = {
		[MESSAGE_FROM_1] = 1,
		[MESSAGE_FROM_NOFILE] = VMM_GUEST_NOFILE_MIN,
		[MESSAGE_FROM_BUFFER] = VMM_GUEST_BUFFER_MIN,
	};

	return least[member->least];
}

static uint64_t
message_most(const struct message_member *member)
{
	static const uint64_t most[] = {
		[MESSAGE_U32] = UINT32_MAX,
		[MESSAGE_PIDS] = INT32_MAX,
		[MESSAGE_OFFSETS] = INT64_MAX,
		[MESSAGE_KIB] = UINT64_MAX / 1024,
		[MESSAGE_SIGNALS] = 64,
		[MESSAGE_NANOS] = 999999999,
		[MESSAGE_IDS] = UINT32_MAX - 1,
		[MESSAGE_BUFFER] = VMM_GUEST_BUFFER_MAX,
		[MESSAGE_KEEP] = VMM_GUEST_KEEP_SECONDS_MAX,
		[MESSAGE_WITHIN] = VMM_GUEST_WITHIN_MS_MAX,
		[MESSAGE_HOLD] = VMM_GUEST_HOLD_MS_MAX,
	};

	return member->most != MESSAGE_ALL ? most[member->most]
					   : UINT64_MAX >> (64 - 8 * member->size);
}

void
message_read_unsigned(const struct message_member *member, struct json_object *value, void *base,
    struct json_error *error)
{
	uint64_t least = message_least(member);
	uint64_t most = message_most(member);
	uint64_t number;

	if (!message_is_whole(member, value, error))
		return;
	number = json_object_get_uint64(value);
	if (json_object_get_int64(value) < 0 || number < least || number > most)
		json_fail(error, "member '%s': out of range, %llu to %llu", member->name,
		    (unsigned long long)least, (unsigned long long)most);
	message_set_number(member, base, number);
}

struct json_object *
message_make_unsigned(const struct message_member *member, const void *base)
{
	return json_object_new_uint64(message_number(member, base));
}

void
message_read_signed(const struct message_member *member, struct json_object *value, void *base,
    struct json_error *error)
{
	int64_t largest = member->size == sizeof(int32_t) ? INT32_MAX : INT64_MAX;
	int64_t number;

	if (!message_is_whole(member, value, error))
		return;
	number = json_object_get_int64(value);
	/* json-c gives the nearest number it has, without a word. */
	if (number < -largest - 1 || number > largest ||
	    (number >= 0 && json_object_get_uint64(value) > INT64_MAX))
		json_fail_member(error, member->name, "out of range");
	message_set_number(member, base, (uint64_t)number);
}

struct json_object *
message_make_signed(const struct message_member *member, const void *base)
{
	return json_object_new_int64((int64_t)message_number(member, base));
}

void
message_read_flag(const struct message_member *member, struct json_object *value, void *base,
    struct json_error *error)
{
	if (json_object_is_type(value, json_type_boolean))
		*(bool *)message_place(base, member->offset) = json_object_get_boolean(value);
	else
		json_fail_member(error, member->name, "true or false is needed");
}

struct json_object *
message_make_flag(const struct message_member *member, const void *base)
{
	return json_object_new_boolean((json_bool)message_number(member, base));
}

void
message_read_real(const struct message_member *member, struct json_object *value, void *base,
    struct json_error *error)
{
	double number = json_object_get_double(value);

	if ((!json_object_is_type(value, json_type_int) &&
		!json_object_is_type(value, json_type_double)) ||
	    !isfinite(number))
		json_fail_member(error, member->name, "a number is needed");
	*(double *)message_place(base, member->offset) = number;
}

struct json_object *
message_make_real(const struct message_member *member, const void *base)
{
	double number = *(const double *)message_at(base, member->offset);
	char text[32];

	(void)text_format(text, sizeof(text), MESSAGE_REAL_FORMAT, number);
	return json_object_new_double_s(number, text);
}

/* ---- words --------------------------------------------------------------- */

void
message_read_text(const struct message_member *member, struct json_object *value, void *base,
    struct json_error *error)
{
	*(const char **)message_place(base, member->offset) =
	    json_string_of(value, member->name, error);
}

void
message_read_name(const struct message_member *member, struct json_object *value, void *base,
    struct json_error *error)
{
	const char *name = json_string_of(value, member->name, error);

	if (name != NULL && !session_name_is_valid(name))
		json_fail(error,
		    "member '%s': 1 to %u of A-Z, a-z, 0-9, '.', '_' and '-' are needed",
		    member->name, VMM_GUEST_NAME_MAX);
	*(const char **)message_place(base, member->offset) = name;
}

static const char *
message_text(const struct message_member *member, const void *base)
{
	return *(const char *const *)message_at(base, member->offset);
}

static const char *
message_initial_text(const struct message_member *member)
{
	return member->text != NULL ? member->text : "";
}

bool
message_is_initial_text(const struct message_member *member, const void *base)
{
	const char *text = message_text(member, base);

	return text == NULL || strcmp(text, message_initial_text(member)) == 0;
}

struct json_object *
message_make_text(const struct message_member *member, const void *base)
{
	const char *text = message_text(member, base);

	if (text == NULL && (member->flags & MESSAGE_NEEDED))
		return NULL;
	return json_object_new_string(text != NULL ? text : message_initial_text(member));
}

struct json_object *
message_make_bytes(const struct message_member *member, const void *base)
{
	const char *bytes = message_text(member, base);
	size_t size = bytes != NULL ? strlen(bytes) * 3 + 1 : 0;
	char *text = bytes != NULL ? malloc(size) : NULL;
	struct json_object *made = NULL;

	if (text == NULL)
		return NULL;
	(void)utf8_make_valid(bytes, text, size);
	made = json_object_new_string(text);
	free(text);
	return made;
}

static void
message_fail_word(const struct message_member *member, struct json_error *error)
{
	const char *const *words = member->more;
	char text[JSON_ERROR_MAX] = "";

	for (size_t i = 0; words[i] != NULL; i++) {
		(void)strlcat(text, words[i], sizeof(text));
		if (words[i + 1] != NULL)
			(void)strlcat(text, words[i + 2] != NULL ? ", " : " or ", sizeof(text));
	}
	json_fail(error, "member '%s': %s is needed", member->name, text);
}

void
message_read_word(const struct message_member *member, struct json_object *value, void *base,
    struct json_error *error)
{
	const char *text = json_string_of(value, member->name, error);
	const char *const *words = member->more;
	uint64_t index = 0;

	while (text != NULL && words[index] != NULL && strcmp(words[index], text) != 0)
		index++;
	if (words[index] == NULL && (member->flags & MESSAGE_OPEN))
		index--;
	else if (words[index] == NULL)
		message_fail_word(member, error);
	message_set_number(member, base, index);
}

struct json_object *
message_make_word(const struct message_member *member, const void *base)
{
	const char *const *words = member->more;

	return json_object_new_string(words[message_number(member, base)]);
}

void
message_set_initial(const struct message_member *member, void *base)
{
	if (member->kind <= MESSAGE_SIGNED || member->kind == MESSAGE_WORD)
		message_set_number(member, base, message_initial_number(member));
	else if (member->kind >= MESSAGE_TEXT && member->kind <= MESSAGE_BYTES)
		*(const char **)message_place(base, member->offset) = message_initial_text(member);
}
