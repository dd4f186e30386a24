/*
 * SPDX-License-Identifier: MIT
 */
#include "client/errno_name.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "platform/compat.h"

/* Of Linux, from 1 on. */
#define ERRNO_NAME_MAX 134
#define ERRNO_NAME_LEN 32

#define ERRNO_NAME_BUSY "busy"

int
errno_name_parse(const char *words)
{
	char name[ERRNO_NAME_LEN];
	const char *known;

	(void)strlcpy(name, words, sizeof(name));
	name[strcspn(name, ":")] = '\0';
	for (int error = 1; error < ERRNO_NAME_MAX; error++) {
		known = strerrorname_np(error);
		if (known != NULL && strcmp(known, name) == 0)
			return error;
	}
	return 0;
}

int
errno_name_parse_refusal(const char *words)
{
	bool is_busy = strncmp(words, ERRNO_NAME_BUSY, strlen(ERRNO_NAME_BUSY)) == 0;
	char behind = is_busy ? words[strlen(ERRNO_NAME_BUSY)] : '\0';
	int error = errno_name_parse(words);

	if (is_busy && (behind == '\0' || behind == ':'))
		return EBUSY;
	return error != EALREADY ? error : 0;
}
