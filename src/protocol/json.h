/*
 * json: objects as the contract takes them, by json-c in strict mode with
 * UTF-8 validation, and the errors that name a member. Used within protocol/
 * alone; nobody else sees json-c. What stands in an object is message.h's.
 *
 * An object is understood whole or refused. Where memory fails, json-c before 0.17 drops a
 * member or shortens a string and reports success, or dereferences the name that it could
 * not copy. An integer that 64 bits do not hold becomes the nearest that they do. So a pass
 * over the text goes in front of json-c. It builds nothing, and does three things.
 *
 * It cuts the text into pieces, which json-c gets one by one: behind each name, and in
 * front of a number that is behind a string, an object or an array. A malloc(3) that
 * failed has left ENOMEM in errno, which is looked at behind each piece, and so before
 * json-c uses the name. Within a piece nothing clears errno behind a failure: only the
 * reading of a number does. (A malloc that succeeds by a second way may leave ENOMEM
 * too. That is refused as well.) To count members and bytes in the text, and then in the
 * tree, would be no proof: a member may be there twice, and the crash comes first.
 *
 * It counts values, and refuses too many before memory is spent on them. "{}" takes 800
 * bytes, a member up to 280, an element up to 100. With the numbers of protocol.h a
 * request takes 9 MiB at most, and so does an answer.
 *
 * It refuses an integer that 64 bits do not hold, by the name of its member.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PROTOCOL_JSON_H
#define PROTOCOL_JSON_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>

/* Room for "member 'NAME': what is wrong", which is sent to the host. */
#define JSON_ERROR_MAX 160

struct json_error {
	int code;		   /* 0: no error; -EINVAL or -ENOMEM */
	char text[JSON_ERROR_MAX]; /* empty: no error */
};

/* Drops the reference in *OBJECT. */
void json_put(struct json_object **object);
#define CLEANUP_JSON __attribute__((cleanup(json_put)))

/* Parses the LEN bytes of TEXT, which must be one object with nothing but white
 * space after it, of no more values than protocol.h says. Returns 0 with a new
 * reference, or ERROR's code: -EINVAL, or -ENOMEM. */
int json_parse_object(
    const char *text, size_t len, struct json_object **ret, struct json_error *error);

/* The same for an array of objects, of as many as there are: TAKE is called with
 * each in turn, and owns it. What TAKE puts into ERROR ends it. */
typedef void json_take_fn(void *context, struct json_object *object, struct json_error *error);
int json_parse_each(
    const char *text, size_t len, json_take_fn *take, void *context, struct json_error *error);

/* Puts the text of FORMAT into ERROR, with -EINVAL, unless there is one already:
 * a reader asks for all its members in a row and looks once, at the end. */
void json_fail(struct json_error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The same for what is wrong with the member NAME: "a number is needed". */
void json_fail_member(struct json_error *error, const char *name, const char *problem);

/* The same for -ENOMEM. */
void json_fail_memory(struct json_error *error);

/* Whether OBJECT has a member NAME, be it null. */
bool json_has(struct json_object *object, const char *name);

/* The string that VALUE is, owned by VALUE; NULL with ERROR filled in if it is not a string
 * or has a NUL inside. NAME is the member's, for the error. */
const char *json_string_of(struct json_object *value, const char *name, struct json_error *error);

/* Frees BLOCK, of malloc(3), when VALUE goes. Once for each VALUE. */
void json_own(struct json_object *value, void *block);

/* Adds the member NAME, which must outlive OBJECT, and takes over VALUE, which may be
 * NULL where there was no memory for it. Returns 0 or -ENOMEM. */
int json_add(struct json_object *object, const char *name, struct json_object *value);

/* The same for an element at the end of ARRAY. */
int json_append(struct json_object *array, struct json_object *value);

/* The text of OBJECT without white space, in a new block that the caller frees;
 * NULL where there is no memory. *RET_LEN is its length without the NUL. */
char *json_to_text(struct json_object *object, size_t *ret_len);

#endif
