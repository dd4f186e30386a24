/*
 * json: objects as the contract takes them, by json-c.
 *
 * SPDX-License-Identifier: MIT
 */
#include "protocol/json.h"

#include <errno.h>
#include <limits.h>
#include <locale.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "platform/text.h"
#include "vmm-guest/protocol.h"

#define JSON_DEPTH_MAX 32
#define JSON_NAME_MAX 64

/* 2^64 - 1, and what a minus sign leaves: 2^63. */
#define JSON_UINT64_TEXT "18446744073709551615"
#define JSON_INT64_TEXT "9223372036854775808"

/* What the pass in front of json-c has seen of an object. */
struct json_scan {
	size_t containers;
	size_t members;
	size_t values; /* members' names too */
	int depth;
	const char *string; /* the last one, without its quotes */
	int string_len;
	const char *name; /* of the last member */
	int name_len;
};

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

	if (error->code < 0)
		return;
	error->code = -EINVAL;
	va_start(args, format);
	(void)text_format_args(error->text, sizeof(error->text), format, args);
	va_end(args);
}

void
json_fail_member(struct json_error *error, const char *name, const char *problem)
{
	json_fail(error, "member '%.64s': %s", name, problem);
}

void
json_fail_memory(struct json_error *error)
{
	if (error->code < 0)
		return;
	json_fail(error, "out of memory");
	error->code = -ENOMEM;
}

/* ---- the pass in front of json-c ----------------------------------------- */

static bool
json_is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Whether C is in a number or a word. */
static bool
json_is_word(char c)
{
	static const char others[] = "{}[]:,\"'";

	return !json_is_space(c) && memchr(others, c, sizeof(others) - 1) == NULL;
}

/* How many of the LEN bytes of TEXT are digits up to LAST from the first on. */
static size_t
json_digits(const char *text, size_t len, char last)
{
	size_t n = 0;

	while (n < len && text[n] >= '0' && text[n] <= last)
		n++;
	return n;
}

/* Whether the next byte that is not white space is C; *DONE is moved to it. */
static bool
json_is_next(const char *text, size_t len, size_t *done, char c)
{
	while (*done < len && json_is_space(text[*done]))
		++*done;
	return *done < len && text[*done] == c;
}

/* The length of the string that begins TEXT, with its quotes; json-c takes either
 * kind for a name. */
static size_t
json_scan_string(struct json_scan *scan, const char *text, size_t len)
{
	size_t end = 1;

	while (end < len && text[end] != text[0])
		end += text[end] == '\\' ? 2 : 1;
	if (end >= len)
		return len;
	scan->string = text + 1;
	scan->string_len = end - 1 < JSON_NAME_MAX ? (int)(end - 1) : JSON_NAME_MAX;
	return end + 1;
}

/* The length of the number or word that begins TEXT. An integer is held against the largest
 * digit by digit, as json-c would give the nearest that 64 bits hold. */
static size_t
json_scan_word(const struct json_scan *scan, const char *text, size_t len, struct json_error *error)
{
	size_t first = text[0] == '-' ? 1 : 0;
	const char *largest = first > 0 ? JSON_INT64_TEXT : JSON_UINT64_TEXT;
	size_t behind;
	size_t end;

	first += json_digits(text + first, len - first, '0');
	behind = first + json_digits(text + first, len - first, '9');
	end = behind;
	while (end < len && json_is_word(text[end]))
		end++;
	if (behind == end && end - first >= strlen(largest) &&
	    (end - first > strlen(largest) || memcmp(text + first, largest, end - first) > 0))
		json_fail(error, "member '%.*s': out of range", scan->name_len, scan->name);
	return end;
}

/* The last string was the name of a member. */
static void
json_scan_name(struct json_scan *scan)
{
	scan->members++;
	scan->name = scan->string;
	scan->name_len = scan->string_len;
}

/* Counts what is in TEXT up to where it is to be cut: behind a name, in front of a word that is
 * behind a string or a bracket, behind the whole object. Returns how many bytes that are. */
static size_t
json_scan_piece(struct json_scan *scan, const char *text, size_t len, struct json_error *error)
{
	bool is_behind = false;
	size_t done = 0;

	while (done < len) {
		switch (text[done]) {
		case '"':
		case '\'':
			scan->values++;
			is_behind = true;
			done += json_scan_string(scan, text + done, len - done);
			if (json_is_next(text, len, &done, ':')) {
				json_scan_name(scan);
				return done;
			}
			continue;
		case '{':
		case '[':
			scan->containers++;
			scan->values++;
			scan->depth++;
			break;
		case '}':
		case ']':
			if (--scan->depth <= 0)
				return done + 1;
			is_behind = true;
			break;
		case ':':
		case ',':
		case ' ':
		case '\t':
		case '\r':
		case '\n':
			break;
		default:
			if (is_behind)
				return done;
			scan->values++;
			done += json_scan_word(scan, text + done, len - done, error);
			continue;
		}
		done++;
	}
	return len;
}

/* ---- parsing ------------------------------------------------------------- */

static void
json_check_counts(const struct json_scan *scan, struct json_error *error)
{
	if (scan->containers > VMM_GUEST_JSON_CONTAINERS_MAX)
		json_fail(
		    error, "JSON: more than %d objects and arrays", VMM_GUEST_JSON_CONTAINERS_MAX);
	else if (scan->members > VMM_GUEST_JSON_MEMBERS_MAX)
		json_fail(error, "JSON: more than %d members", VMM_GUEST_JSON_MEMBERS_MAX);
	else if (scan->values - scan->members > VMM_GUEST_JSON_VALUES_MAX)
		json_fail(error, "JSON: more than %d values", VMM_GUEST_JSON_VALUES_MAX);
}

static bool
json_is_ascii(const char *text, size_t len)
{
	signed char all = 0;

	while (len > 0)
		all |= (signed char)text[--len];
	return all >= 0;
}

/* Gives TOKENER the LEN bytes of TEXT, which are at byte START of the whole. Returns
 * the object once it is complete, else NULL. */
static struct json_object *
json_feed(struct json_tokener *tokener, const char *text, size_t len, size_t start,
    struct json_error *error)
{
	struct json_object *object;
	enum json_tokener_error state;

	/* It looks at each character where it is to validate. */
	json_tokener_set_flags(tokener,
	    JSON_TOKENER_STRICT | (json_is_ascii(text, len) ? 0 : JSON_TOKENER_VALIDATE_UTF8));
	errno = 0;
	object = json_tokener_parse_ex(tokener, text, (int)len);
	state = json_tokener_get_error(tokener);
	if (errno == ENOMEM)
		json_fail_memory(error);
	else if (state != json_tokener_success && state != json_tokener_continue)
		json_fail(error, "JSON: %s at byte %zu", json_tokener_error_desc(state),
		    start + json_tokener_get_parse_end(tokener));
	else if (state == json_tokener_success && !json_object_is_type(object, json_type_object))
		json_fail(error, "JSON: not an object");
	if (error->code < 0)
		json_put(&object);
	return object;
}

/* Parses the object that begins at *DONE, which is moved behind it. NULL: ERROR. In the C
 * locale's own object, json-c need not copy a locale for each piece, which takes it longer
 * than the piece. */
static struct json_object *
json_parse_next(const char *text, size_t len, size_t *done, struct json_error *error)
{
	locale_t locale = uselocale(newlocale(LC_ALL_MASK, "C", (locale_t)0));
	struct json_scan scan = { .name = "" };
	struct json_object *object = NULL;
	struct json_tokener *tokener;

	errno = 0;
	tokener = json_tokener_new_ex(JSON_DEPTH_MAX);
	if (tokener == NULL || errno == ENOMEM)
		json_fail_memory(error);
	while (object == NULL && error->code == 0 && *done < len) {
		size_t start = *done;

		*done += json_scan_piece(&scan, text + start, len - start, error);
		json_check_counts(&scan, error);
		if (error->code == 0)
			object = json_feed(tokener, text + start, *done - start, start, error);
	}
	if (tokener != NULL)
		json_tokener_free(tokener);
	(void)uselocale(locale);
	if (object == NULL)
		json_fail(error, "JSON: the object is not complete");
	return object;
}

static int
json_begin(const char *text, size_t len, size_t *done, char c, struct json_error *error)
{
	*error = (struct json_error){ .code = 0 };
	if (len > INT_MAX)
		json_fail(error, "JSON: too long");
	else if (!json_is_next(text, len, done, c))
		json_fail(error, "JSON: not an %s", c == '{' ? "object" : "array");
	return error->code;
}

static int
json_end(const char *text, size_t len, size_t *done, struct json_error *error)
{
	(void)json_is_next(text, len, done, '\0');
	if (*done < len)
		json_fail(error, "JSON: more than one value");
	return error->code;
}

int
json_parse_object(const char *text, size_t len, struct json_object **ret, struct json_error *error)
{
	struct json_object *CLEANUP_JSON object = NULL;
	size_t done = 0;

	if (json_begin(text, len, &done, '{', error) < 0)
		return error->code;
	object = json_parse_next(text, len, &done, error);
	if (json_end(text, len, &done, error) < 0)
		return error->code;
	*ret = object;
	object = NULL;
	return 0;
}

int
json_parse_each(
    const char *text, size_t len, json_take_fn *take, void *context, struct json_error *error)
{
	size_t done = 0;
	bool more;

	if (json_begin(text, len, &done, '[', error) < 0)
		return error->code;
	done++;
	more = !json_is_next(text, len, &done, ']');
	while (more && error->code == 0) {
		struct json_object *object = NULL;

		if (json_is_next(text, len, &done, '{'))
			object = json_parse_next(text, len, &done, error);
		else
			json_fail(error, "JSON: an object is needed at byte %zu", done);
		if (object != NULL)
			take(context, object, error);
		more = json_is_next(text, len, &done, ',');
		if (more)
			done++;
		else if (!json_is_next(text, len, &done, ']'))
			json_fail(error, "JSON: the array is not complete");
	}
	done++;
	return error->code < 0 ? error->code : json_end(text, len, &done, error);
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
		json_fail_member(error, name, "a string is needed");
		return NULL;
	}
	text = json_object_get_string(value);
	if (strlen(text) != (size_t)json_object_get_string_len(value)) {
		json_fail_member(error, name, "a NUL character is not allowed");
		return NULL;
	}
	return text;
}

/* ---- making -------------------------------------------------------------- */

static void
json_free_owned(struct json_object *value, void *block)
{
	(void)value;
	free(block);
}

void
json_own(struct json_object *value, void *block)
{
	json_object_set_userdata(value, block, json_free_owned);
}

int
json_add(struct json_object *object, const char *name, struct json_object *value)
{
	if (value != NULL &&
	    json_object_object_add_ex(object, name, value, JSON_C_OBJECT_KEY_IS_CONSTANT) == 0)
		return 0;
	json_put(&value);
	return -ENOMEM;
}

int
json_append(struct json_object *array, struct json_object *value)
{
	if (value != NULL && json_object_array_add(array, value) == 0)
		return 0;
	json_put(&value);
	return -ENOMEM;
}

/* json-c leaves out what it has no room for: told by errno, as in json.h. */
char *
json_to_text(struct json_object *object, size_t *ret_len)
{
	const char *text;
	size_t len;
	char *copy;

	errno = 0;
	text = json_object_to_json_string_length(
	    object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
	copy = text != NULL && errno != ENOMEM ? strdup(text) : NULL;
	if (copy != NULL)
		*ret_len = len;
	return copy;
}
