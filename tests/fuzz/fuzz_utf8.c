/*
 * Names made fit for JSON: what comes out is left as it is the second time, and
 * json-c takes it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fuzz.h"

#include <stdio.h>

#include "protocol/json.h"
#include "protocol/utf8.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_string(data, size);
	size_t room = 3 * size + 1;
	char *once = malloc(room);
	char *twice = malloc(room);
	struct json_object *object = json_object_new_object();
	struct json_object *again = NULL;
	struct json_object *name;
	struct json_error error;
	size_t len;
	char *made;

	FUZZ_CHECK(once != NULL && twice != NULL && object != NULL);
	len = utf8_make_valid(text, once, room);
	FUZZ_CHECK(len == strlen(once) && len >= strlen(text));
	FUZZ_CHECK(utf8_make_valid(once, twice, room) == len && strcmp(once, twice) == 0);
	FUZZ_CHECK(json_add(object, "name", json_object_new_string(once)) == 0);
	made = json_to_text(object, &len);
	FUZZ_CHECK(json_parse_object(made, len, &again, &error) == 0);
	FUZZ_CHECK(json_object_object_get_ex(again, "name", &name));
	FUZZ_CHECK(strcmp(json_string_of(name, "name", &error), once) == 0);
	json_put(&again);
	json_put(&object);
	/* Into little room: cut, and still well-formed. */
	(void)utf8_make_valid(text, once, size % 8 + 1 < room ? size % 8 + 1 : room);
	FUZZ_CHECK(utf8_make_valid(once, twice, room) == strlen(once) && strcmp(once, twice) == 0);
	free(made);
	free(twice);
	free(once);
	free(text);
	return 0;
}
