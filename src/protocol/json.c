/*
 * json: objects as the contract takes them, by json-c.
 */
#include "protocol/json.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define JSON_DEPTH_MAX 32

/* Two bytes of text, "{}", are some 800 in memory: what fits into a request would
 * fill a small guest. No request needs more than a few. */
#define JSON_CONTAINERS_MAX 4096

void
json_put(struct json_object **object)
{
	(void)json_object_put(*object);
	*object = NULL;
}

void
json_fail(struct json_error *error, const char *format, ...)
{
	va_list args;

	if (error->text[0] != '\0')
		return;
	va_start(args, format);
	(void)vsnprintf(error->text, sizeof(error->text), format, args);
	va_end(args);
}

static struct json_object *
json_parse(const char *text, size_t len, json_type type, struct json_error *error)
{
	struct json_tokener *tokener;
	struct json_object *object;
	enum json_tokener_error state;
	size_t end;

	error->text[0] = '\0';
	if (len > INT_MAX) {
		json_fail(error, "JSON: too long");
		return NULL;
	}
	tokener = json_tokener_new_ex(JSON_DEPTH_MAX);
	if (tokener == NULL) {
		json_fail(error, "JSON: out of memory");
		return NULL;
	}
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	object = json_tokener_parse_ex(tokener, text, (int)len);
	state = json_tokener_get_error(tokener);
	end = json_tokener_get_parse_end(tokener);
	json_tokener_free(tokener);
	if (state == json_tokener_continue)
		json_fail(error, "JSON: the object is not complete");
	else if (state != json_tokener_success)
		json_fail(error, "JSON: %s at byte %zu", json_tokener_error_desc(state), end);
	else if (!json_object_is_type(object, type))
		json_fail(error, "JSON: not an %s", json_type_to_name(type));
	else if (end < len)
		json_fail(error, "JSON: more than one value");
	if (error->text[0] != '\0')
		json_put(&object);
	return object;
}

/* How many objects and arrays begin in TEXT, in it or below. */
static size_t
json_count_containers(const char *text, size_t len)
{
	bool in_string = false;
	size_t count = 0;

	for (size_t i = 0; i < len; i++) {
		if (in_string && text[i] == '\\')
			i++;
		else if (text[i] == '"')
			in_string = !in_string;
		else if (!in_string && (text[i] == '{' || text[i] == '['))
			count++;
	}
	return count;
}

struct json_object *
json_parse_object(const char *text, size_t len, struct json_error *error)
{
	error->text[0] = '\0';
	if (json_count_containers(text, len) > JSON_CONTAINERS_MAX) {
		json_fail(error, "JSON: more than %d objects and arrays", JSON_CONTAINERS_MAX);
		return NULL;
	}
	return json_parse(text, len, json_type_object, error);
}

struct json_object *
json_parse_array(const char *text, size_t len, struct json_error *error)
{
	return json_parse(text, len, json_type_array, error);
}

bool
json_has(struct json_object *object, const char *name)
{
	return json_object_object_get_ex(object, name, NULL);
}

const char *
json_string_of(struct json_object *value, const char *name, struct json_error *error)
{
	const char *text;

	if (!json_object_is_type(value, json_type_string)) {
		json_fail(error, "member '%.64s': a string is needed", name);
		return NULL;
	}
	text = json_object_get_string(value);
	if (strlen(text) != (size_t)json_object_get_string_len(value)) {
		json_fail(error, "member '%.64s': a NUL character is not allowed", name);
		return NULL;
	}
	return text;
}

const char *
json_get_string(
    struct json_object *object, const char *name, const char *fallback, struct json_error *error)
{
	struct json_object *value;

	if (!json_object_object_get_ex(object, name, &value))
		return fallback;
	return json_string_of(value, name, error);
}

const char *
json_need_string(struct json_object *object, const char *name, struct json_error *error)
{
	if (!json_has(object, name)) {
		json_fail(error, "member '%.64s' is missing", name);
		return NULL;
	}
	return json_get_string(object, name, NULL, error);
}

bool
json_get_bool(struct json_object *object, const char *name, bool fallback, struct json_error *error)
{
	struct json_object *value;

	if (!json_object_object_get_ex(object, name, &value))
		return fallback;
	if (!json_object_is_type(value, json_type_boolean)) {
		json_fail(error, "member '%.64s': true or false is needed", name);
		return fallback;
	}
	return json_object_get_boolean(value);
}

/* json-c reads 5.0 and 1e3 as doubles: both count as numbers with a fraction. */
static bool
json_is_whole(struct json_object *value, const char *name, struct json_error *error)
{
	if (json_object_is_type(value, json_type_int))
		return true;
	json_fail(error, "member '%.64s': a whole number is needed", name);
	return false;
}

uint64_t
json_get_u64(struct json_object *object, const char *name, uint64_t max, uint64_t fallback,
    struct json_error *error)
{
	struct json_object *value;
	uint64_t number;

	if (!json_object_object_get_ex(object, name, &value))
		return fallback;
	if (!json_is_whole(value, name, error))
		return fallback;
	number = json_object_get_uint64(value);
	if (json_object_get_int64(value) < 0 || number > max) {
		json_fail(error, "member '%.64s': out of range, 0 to %llu", name,
		    (unsigned long long)max);
		return fallback;
	}
	return number;
}

int64_t
json_get_i64(
    struct json_object *object, const char *name, int64_t fallback, struct json_error *error)
{
	struct json_object *value;
	int64_t number;

	if (!json_object_object_get_ex(object, name, &value))
		return fallback;
	if (!json_is_whole(value, name, error))
		return fallback;
	number = json_object_get_int64(value);
	/* json-c gives the nearest number it has, without a word. */
	if (number >= 0 && json_object_get_uint64(value) > INT64_MAX) {
		json_fail(error, "member '%.64s': out of range", name);
		return fallback;
	}
	return number;
}

void
json_add(struct json_object *object, const char *name, struct json_object *value)
{
	(void)json_object_object_add(object, name, value);
}

char *
json_to_text(struct json_object *object, size_t *ret_len)
{
	size_t len;
	const char *text = json_object_to_json_string_length(
	    object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
	char *copy = text != NULL ? strdup(text) : NULL;

	if (copy != NULL)
		*ret_len = len;
	return copy;
}
