/*
 * json: objects as the contract takes them, by json-c in strict mode with
 * UTF-8 validation, and the errors that name a member. Used within protocol/
 * alone; nobody else sees json-c.
 *
 * The first error stands: a reader asks for all its members in a row and
 * looks at the error once, at the end.
 */
#ifndef PROTOCOL_JSON_H
#define PROTOCOL_JSON_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Room for "member 'NAME': what is wrong", which is sent to the host. */
#define JSON_ERROR_MAX 160

struct json_error {
	char text[JSON_ERROR_MAX]; /* empty: no error */
};

/* Drops the reference in *OBJECT. */
void json_put(struct json_object **object);
#define CLEANUP_JSON __attribute__((cleanup(json_put)))

/* Parses the LEN bytes of TEXT, which must be one object with nothing but white
 * space after it, and at most 4096 objects and arrays in all. Returns a new
 * reference, or NULL with ERROR filled in. */
struct json_object *json_parse_object(const char *text, size_t len, struct json_error *error);

/* The same for an array, of as many as there are. */
struct json_object *json_parse_array(const char *text, size_t len, struct json_error *error);

/* Puts the text of FORMAT into ERROR unless there is one already. */
void json_fail(struct json_error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The string that VALUE is, owned by VALUE; NULL with ERROR filled in if it is
 * none or has a NUL inside. NAME is the member's, for the error. */
const char *json_string_of(struct json_object *value, const char *name, struct json_error *error);

/* A member of OBJECT, or FALLBACK where there is none. A member that is null,
 * of another type, out of range, or a number with a fraction is an error; what 64
 * bits do not hold at all is the nearest number that they do, as json-c reads it. */
const char *json_get_string(
    struct json_object *object, const char *name, const char *fallback, struct json_error *error);
bool json_get_bool(
    struct json_object *object, const char *name, bool fallback, struct json_error *error);
uint64_t json_get_u64(struct json_object *object, const char *name, uint64_t max, uint64_t fallback,
    struct json_error *error);
int64_t json_get_i64(
    struct json_object *object, const char *name, int64_t fallback, struct json_error *error);

/* As json_get_string(), but the member must be there. */
const char *json_need_string(
    struct json_object *object, const char *name, struct json_error *error);

/* Whether OBJECT has a member NAME, be it null. */
bool json_has(struct json_object *object, const char *name);

/* Adds the member NAME to OBJECT, which owns VALUE from then on. */
void json_add(struct json_object *object, const char *name, struct json_object *value);

/* The text of OBJECT without white space, in a new block that the caller frees;
 * NULL where there is no memory. *RET_LEN is its length without the NUL. */
char *json_to_text(struct json_object *object, size_t *ret_len);

#endif
