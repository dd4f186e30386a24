/*
 * Names made fit for JSON: what comes out is left as it is the second time, and
 * json-c takes it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fuzz.h"

#include "protocol/json.h"
#include "protocol/json_text.h"
#include "protocol/utf8.h"

/* What is written of TEXT as the member "name", read again; the strings are *RET_JSON's. */
static const char *
fuzz_write_and_read(const char *text, struct json_object **ret_json)
{
	struct json_text written = { 0 };
	struct json_error error;
	struct json_object *name;
	size_t len;
	char *made;

	json_text_open(&written, '{');
	json_text_name(&written, "name");
	json_text_bytes(&written, text);
	json_text_close(&written, '}');
	made = json_text_take(&written, &len);
	FUZZ_CHECK(made != NULL && strlen(made) == len);
	FUZZ_CHECK(json_parse_object(made, len, ret_json, &error) == 0);
	free(made);
	FUZZ_CHECK(json_object_object_get_ex(*ret_json, "name", &name));
	return json_string_of(name, "name", &error);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_string(data, size);
	struct json_object *object = NULL;
	struct json_object *again = NULL;
	const char *once = fuzz_write_and_read(text, &object);

	FUZZ_CHECK(once != NULL && utf8_is_valid(once) && strlen(once) >= strlen(text));
	FUZZ_CHECK(!utf8_is_valid(text) || strcmp(once, text) == 0);
	FUZZ_CHECK(strcmp(fuzz_write_and_read(once, &again), once) == 0);
	json_put(&again);
	json_put(&object);
	free(text);
	return 0;
}
