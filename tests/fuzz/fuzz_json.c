/*
 * Objects that go to json-c piece by piece are what json-c makes of the whole text, and
 * nothing is refused that it takes but what the contract says.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fuzz.h"

#include "protocol/json.h"

static struct json_object *
parse_at_once(const char *text, size_t len)
{
	struct json_tokener *tokener = json_tokener_new_ex(32);
	struct json_object *object;

	FUZZ_CHECK(tokener != NULL);
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	object = json_tokener_parse_ex(tokener, text, (int)len);
	if (json_tokener_get_error(tokener) != json_tokener_success ||
	    json_tokener_get_parse_end(tokener) != len ||
	    !json_object_is_type(object, json_type_object))
		json_put(&object);
	json_tokener_free(tokener);
	return object;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct json_object *CLEANUP_JSON whole = parse_at_once((const char *)data, size);
	struct json_object *CLEANUP_JSON pieces = NULL;
	struct json_error error;
	int r = json_parse_object((const char *)data, size, &pieces, &error);

	FUZZ_CHECK((r == 0) == (pieces != NULL) && r == error.code);
	if (r == 0) {
		FUZZ_CHECK(error.text[0] == '\0');
		FUZZ_CHECK(whole != NULL && json_object_equal(whole, pieces));
	} else if (whole != NULL) {
		FUZZ_CHECK(strstr(error.text, ": out of range") != NULL ||
			   strstr(error.text, "JSON: more than ") != NULL);
	}
	return 0;
}
