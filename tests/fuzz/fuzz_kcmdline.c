/*
 * The kernel command line as words, and as configuration.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fuzz.h"

#include "agent/config.h"
#include "protocol/kcmdline.h"

static void
complain(const char *text)
{
	FUZZ_CHECK(text[0] != '\0');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *line = fuzz_string(data, size);
	const char *end = line + strlen(line);
	const char *cursor = line;
	struct kcmdline_word word;
	struct config config;
	char value[16];

	while (kcmdline_next(&cursor, &word)) {
		FUZZ_CHECK(cursor <= end && word.name >= line);
		FUZZ_CHECK(word.name + word.name_len <= end);
		FUZZ_CHECK(word.value == NULL || word.value + word.value_len <= end);
	}
	if (kcmdline_get(line, "ip", value, sizeof(value)) == 0)
		FUZZ_CHECK(strlen(value) < sizeof(value));
	config_init(&config);
	config_read_kernel(&config, line, complain);
	FUZZ_CHECK(config.workers <= 1024 && config.exec_port >= 1 && config.max_file_mib >= 1);
	FUZZ_CHECK(memchr(config.dns, '\0', sizeof(config.dns)) != NULL);
	free(line);
	return 0;
}
