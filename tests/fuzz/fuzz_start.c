/*
 * START: what is taken has every promise of start.h, and is formatted to JSON
 * that is taken as the same request.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fuzz.h"

#include "protocol/start.h"

static void
check_request(const struct start_request *request)
{
	FUZZ_CHECK(request->argc > 0 && request->argv[0][0] != '\0');
	for (size_t i = 0; i < request->argc; i++)
		FUZZ_CHECK(request->argv[i] != NULL);
	FUZZ_CHECK(request->argv[request->argc] == NULL);
	for (size_t i = 0; i < request->env_count; i++) {
		FUZZ_CHECK(request->env[i].name[0] != '\0');
		FUZZ_CHECK(strchr(request->env[i].name, '=') == NULL);
		FUZZ_CHECK(request->env[i].value != NULL);
	}
	FUZZ_CHECK(request->working_dir != NULL && request->user != NULL);
	FUZZ_CHECK(!request->detach || (!request->tty && request->timeout_seconds == 0 &&
					   request->kill_grace_seconds == 0));
}

static void
check_same(const struct start_request *one, const struct start_request *other)
{
	FUZZ_CHECK(one->argc == other->argc && one->env_count == other->env_count);
	for (size_t i = 0; i < one->argc; i++)
		FUZZ_CHECK(strcmp(one->argv[i], other->argv[i]) == 0);
	for (size_t i = 0; i < one->env_count; i++) {
		FUZZ_CHECK(strcmp(one->env[i].name, other->env[i].name) == 0);
		FUZZ_CHECK(strcmp(one->env[i].value, other->env[i].value) == 0);
	}
	FUZZ_CHECK(strcmp(one->working_dir, other->working_dir) == 0);
	FUZZ_CHECK(strcmp(one->user, other->user) == 0);
	FUZZ_CHECK(one->tty == other->tty && one->tty_width == other->tty_width &&
		   one->tty_height == other->tty_height);
	FUZZ_CHECK(one->timeout_seconds == other->timeout_seconds &&
		   one->kill_grace_seconds == other->kill_grace_seconds);
	FUZZ_CHECK(one->stdin_open == other->stdin_open && one->detach == other->detach &&
		   one->report == other->report);
	FUZZ_CHECK(one->limits.have == other->limits.have);
	FUZZ_CHECK(memcmp(one->limits.value, other->limits.value, sizeof(one->limits.value)) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct start_request request;
	struct start_request again;
	struct json_error error;
	size_t len;
	char *text;

	if (start_parse((const char *)data, size, &request, &error) < 0) {
		FUZZ_CHECK(error.text[0] != '\0' && strlen(error.text) < JSON_ERROR_MAX);
		return 0;
	}
	FUZZ_CHECK(error.text[0] == '\0');
	check_request(&request);
	text = start_format(&request, &len);
	FUZZ_CHECK(text != NULL && len == strlen(text));
	FUZZ_CHECK(start_parse(text, len, &again, &error) == 0);
	check_same(&request, &again);
	free(text);
	start_done(&again);
	start_done(&request);
	return 0;
}
