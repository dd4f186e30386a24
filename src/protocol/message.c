/*
 * message: members read and written by a table.
 */
#include "protocol/message.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/utf8.h"

#define MESSAGE_REAL_FORMAT "%.3f"

/* How a kind is read from a VALUE, and made of what is at BASE. */
struct message_kind_row {
	void (*read)(const struct message_member *member, struct json_object *value, void *base,
	    struct json_error *error);
	/* NULL: no memory. */
	struct json_object *(*make)(const struct message_member *member, const void *base);
	/* Whether a reader takes it for what is there where it is not given. */
	bool (*is_initial)(const struct message_member *member, const void *base);
};

static const struct message_kind_row message_kinds[MESSAGE_KINDS];

static void *
message_place(void *base, size_t offset)
{
	return (char *)base + offset;
}

static const void *
message_at(const void *base, size_t offset)
{
	return (const char *)base + offset;
}

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
		return is_signed ? (uint64_t)(int64_t) * (const int32_t *)at
				 : *(const uint32_t *)at;
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

static bool
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
	json_fail(error, "member '%s': a whole number is needed", member->name);
	return false;
}

static void
message_read_unsigned(const struct message_member *member, struct json_object *value, void *base,
    struct json_error *error)
{
	uint64_t number;

	if (!message_is_whole(member, value, error))
		return;
	number = json_object_get_uint64(value);
	if (json_object_get_int64(value) < 0 || number < member->low || number > member->high)
		json_fail(error, "member '%s': out of range, %u to %llu", member->name, member->low,
		    (unsigned long long)member->high);
	message_set_number(member, base, number);
}

static struct json_object *
message_make_unsigned(const struct message_member *member, const void *base)
{
	return json_object_new_uint64(message_number(member, base));
}

static void
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
		json_fail(error, "member '%s': out of range", member->name);
	message_set_number(member, base, (uint64_t)number);
}

static struct json_object *
message_make_signed(const struct message_member *member, const void *base)
{
	return json_object_new_int64((int64_t)message_number(member, base));
}

static void
message_read_flag(const struct message_member *member, struct json_object *value, void *base,
    struct json_error *error)
{
	if (!json_object_is_type(value, json_type_boolean))
		json_fail(error, "member '%s': true or false is needed", member->name);
	*(bool *)message_place(base, member->offset) = json_object_get_boolean(value);
}

static struct json_object *
message_make_flag(const struct message_member *member, const void *base)
{
	return json_object_new_boolean((json_bool)message_number(member, base));
}

static void
message_read_real(const struct message_member *member, struct json_object *value, void *base,
    struct json_error *error)
{
	double number = json_object_get_double(value);

	if ((!json_object_is_type(value, json_type_int) &&
		!json_object_is_type(value, json_type_double)) ||
	    !isfinite(number))
		json_fail(error, "member '%s': a number is needed", member->name);
	*(double *)message_place(base, member->offset) = number;
}

static struct json_object *
message_make_real(const struct message_member *member, const void *base)
{
	double number = *(const double *)message_at(base, member->offset);
	char text[32];

	(void)snprintf(text, sizeof(text), MESSAGE_REAL_FORMAT, number);
	return json_object_new_double_s(number, text);
}

/* ---- words --------------------------------------------------------------- */

static void
message_read_text(const struct message_member *member, struct json_object *value, void *base,
    struct json_error *error)
{
	*(const char **)message_place(base, member->offset) =
	    json_string_of(value, member->name, error);
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

static bool
message_is_initial_text(const struct message_member *member, const void *base)
{
	const char *text = message_text(member, base);

	return text == NULL || strcmp(text, message_initial_text(member)) == 0;
}

static struct json_object *
message_make_text(const struct message_member *member, const void *base)
{
	const char *text = message_text(member, base);

	if (text == NULL && (member->flags & MESSAGE_NEEDED))
		return NULL;
	return json_object_new_string(text != NULL ? text : message_initial_text(member));
}

static struct json_object *
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

static void
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

static struct json_object *
message_make_word(const struct message_member *member, const void *base)
{
	const char *const *words = member->more;

	return json_object_new_string(words[message_number(member, base)]);
}

/* ---- what has parts ------------------------------------------------------ */

static bool
message_is_in(const struct message *message, const struct message_member *member)
{
	return member->sets == 0 || (member->sets & message->set) != 0;
}

static bool
message_is_left_out(const struct message_member *member, const void *base)
{
	uint8_t bits = member->bit != 0 ? member->bit : UINT8_MAX;

	if (member->flags & (MESSAGE_NEEDED | MESSAGE_ALWAYS))
		return false;
	if (member->flags & MESSAGE_OPTIONAL)
		return (*(const uint8_t *)message_at(base, member->beside) & bits) == 0;
	return message_kinds[member->kind].is_initial(member, base);
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
			    object, member->name, message_kinds[member->kind].make(member, base));
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
		json_fail(error, "member '%s': an object is needed", member->name);
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

/* A block for the elements of VALUE of SIZE bytes each, and for one more, which VALUE owns and
 * BASE points to. NULL: ERROR. */
static void *
message_new_array(const struct message_member *member, struct json_object *value, size_t size,
    void *base, struct json_error *error)
{
	size_t count;
	void *block;

	if (!json_object_is_type(value, json_type_array)) {
		json_fail(error, "member '%s': an array is needed", member->name);
		return NULL;
	}
	count = json_object_array_length(value);
	block = calloc(count + 1, size);
	if (block == NULL) {
		json_fail_memory(error);
		return NULL;
	}
	json_own(value, block);
	*(void **)message_place(base, member->offset) = block;
	*(size_t *)message_place(base, member->beside) = count;
	return block;
}

static void
message_read_texts(const struct message_member *member, struct json_object *value, void *base,
    struct json_error *error)
{
	const char **texts = message_new_array(member, value, sizeof(*texts), base, error);

	for (size_t i = 0; texts != NULL && i < message_count(member, base); i++)
		texts[i] = json_string_of(json_object_array_get_idx(value, i), member->name, error);
}

static struct json_object *
message_make_texts(const struct message_member *member, const void *base)
{
	const char *const *texts = *(const void *const *)message_at(base, member->offset);
	size_t count = message_count(member, base);
	struct json_object *array = json_object_new_array();
	int r = array != NULL ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < count; i++)
		r = json_append(array, json_object_new_string(texts[i]));
	if (r < 0)
		json_put(&array);
	return array;
}

static void
message_read_objects(const struct message_member *member, struct json_object *value, void *base,
    struct json_error *error)
{
	char *block = message_new_array(member, value, member->size, base, error);

	for (size_t i = 0; block != NULL && i < message_count(member, base); i++)
		message_read_object(
		    member, json_object_array_get_idx(value, i), block + i * member->size, error);
}

static struct json_object *
message_make_objects(const struct message_member *member, const void *base)
{
	const char *block = *(const void *const *)message_at(base, member->offset);
	size_t count = message_count(member, base);
	struct json_object *array = json_object_new_array();
	int r = array != NULL ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < count; i++)
		r = json_append(array, message_make(member->more, block + i * member->size));
	if (r < 0)
		json_put(&array);
	return array;
}

static void
message_read_custom(const struct message_member *member, struct json_object *value, void *base,
    struct json_error *error)
{
	const struct message_custom *custom = member->more;

	custom->read(value, member->name, base, error);
}

static struct json_object *
message_make_custom(const struct message_member *member, const void *base)
{
	const struct message_custom *custom = member->more;

	return custom->make(base);
}

static bool
message_is_initial_custom(const struct message_member *member, const void *base)
{
	const struct message_custom *custom = member->more;

	return custom->is_initial(base);
}

static bool
message_is_never_initial(const struct message_member *member, const void *base)
{
	(void)member;
	(void)base;
	return false;
}

/* clang-format off */
static const struct message_kind_row message_kinds[MESSAGE_KINDS] = {
	[MESSAGE_FLAG] = { message_read_flag, message_make_flag, message_is_initial_number },
	[MESSAGE_UNSIGNED] = { message_read_unsigned, message_make_unsigned, message_is_initial_number },
	[MESSAGE_SIGNED] = { message_read_signed, message_make_signed, message_is_initial_number },
	[MESSAGE_REAL] = { message_read_real, message_make_real, message_is_never_initial },
	[MESSAGE_TEXT] = { message_read_text, message_make_text, message_is_initial_text },
	[MESSAGE_BYTES] = { message_read_text, message_make_bytes, message_is_initial_text },
	[MESSAGE_WORD] = { message_read_word, message_make_word, message_is_initial_number },
	[MESSAGE_OBJECT] = { message_read_object, message_make_object, message_is_initial_object },
	[MESSAGE_TEXTS] = { message_read_texts, message_make_texts, message_is_initial_array },
	[MESSAGE_OBJECTS] = { message_read_objects, message_make_objects, message_is_initial_array },
	[MESSAGE_CUSTOM] = { message_read_custom, message_make_custom, message_is_initial_custom },
};
/* clang-format on */

/* ---- messages ------------------------------------------------------------ */

static void
message_set_initial(const struct message_member *member, void *base)
{
	if (member->kind <= MESSAGE_SIGNED || member->kind == MESSAGE_WORD)
		message_set_number(member, base, message_initial_number(member));
	else if (member->kind == MESSAGE_TEXT || member->kind == MESSAGE_BYTES)
		*(const char **)message_place(base, member->offset) = message_initial_text(member);
}

static void
message_read_member(const struct message_member *member, struct json_object *object, void *base,
    struct json_error *error)
{
	struct json_object *value;

	if (json_object_object_get_ex(object, member->name, &value)) {
		message_kinds[member->kind].read(member, value, base, error);
		if (member->flags & MESSAGE_OPTIONAL)
			*(uint8_t *)message_place(base, member->beside) |= member->bit;
	} else if (member->flags & MESSAGE_NEEDED) {
		json_fail(error, "member '%s' is missing", member->name);
	} else if (!(member->flags & MESSAGE_OPTIONAL)) {
		message_set_initial(member, base);
	}
}

void
message_read(
    const struct message *message, struct json_object *object, void *base, struct json_error *error)
{
	for (size_t i = 0; i < message->count; i++) {
		if (message_is_in(message, &message->members[i]))
			message_read_member(&message->members[i], object, base, error);
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
