/*
 * SPDX-License-Identifier: MIT
 */
#include "ctl/durable_options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/attach.h"
#include "ctl/command.h"
#include "ctl/keys.h"
#include "ctl/quantity.h"
#include "platform/entropy.h"
#include "protocol/session_name.h"

/* Of the program's name, in front of the digits that make a drawn one another than others. */
#define DURABLE_OPTIONS_FRONT_MAX 24

static int
durable_options_read_u32(int (*parse)(const char *, uint64_t *), const char *text, uint64_t min,
    uint64_t max, uint32_t *ret)
{
	uint64_t value;

	if (parse(text, &value) < 0 || value < min || value > max)
		return -EINVAL;
	*ret = (uint32_t)value;
	return 0;
}

static int
durable_options_read_full(const char *text, enum start_when_full *ret)
{
	static const char *const words[] = {
		[START_FULL_ATTACHED] = "attached",
		[START_FULL_DROP] = "drop",
		[START_FULL_WAIT] = "wait",
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(text, words[i]) == 0) {
			*ret = (enum start_when_full)i;
			return 0;
		}
	}
	return -EINVAL;
}

/* One of the parts, "NAME=VALUE". */
static int
durable_options_read(const char *part, struct start_durable *durable)
{
	const char *value = strchr(part, '=');
	size_t len = value != NULL ? (size_t)(value++ - part) : 0;

	if (len == strlen("buffer") && strncmp(part, "buffer", len) == 0)
		return durable_options_read_u32(quantity_parse_bytes, value, VMM_GUEST_BUFFER_MIN,
		    VMM_GUEST_BUFFER_MAX, &durable->buffer_bytes);
	if (len == strlen("keep") && strncmp(part, "keep", len) == 0)
		return durable_options_read_u32(quantity_parse_seconds, value,
		    VMM_GUEST_KEEP_SECONDS_MIN, VMM_GUEST_KEEP_SECONDS_MAX, &durable->keep_seconds);
	if (len == strlen("alone") && strncmp(part, "alone", len) == 0)
		return durable_options_read_u32(
		    quantity_parse_seconds, value, 0, UINT32_MAX, &durable->alone_seconds);
	if (len == strlen("when-full") && strncmp(part, "when-full", len) == 0)
		return durable_options_read_full(value, &durable->when_full);
	return -EINVAL;
}

int
durable_options_parse(const char *text, struct start_durable *ret)
{
	struct start_durable durable = *ret;
	char *parts = strdup(text);
	char *rest = parts;
	char *part;
	int r = parts != NULL ? 0 : -ENOMEM;

	while (r == 0 && (part = strsep(&rest, ",")) != NULL)
		r = durable_options_read(part, &durable);
	free(parts);
	if (r == 0)
		*ret = durable;
	return r;
}

static bool
durable_options_is_number(const char *text)
{
	return text[0] != '\0' && text[strspn(text, "0123456789")] == '\0';
}

int
durable_options_take_name(const struct options_row *row, char *text)
{
	if (!session_name_is_valid(text) || durable_options_is_number(text))
		return -EINVAL;
	*(const char **)row->into = text;
	return 0;
}

int
durable_options_take_keys(const struct options_row *row, char *text)
{
	return keys_parse_detach(text, row->into);
}

int
durable_options_take_tail(const struct options_row *row, char *text)
{
	struct attach_durable *durable = row->into;

	durable->has_tail = true;
	return quantity_parse_bytes(text, &durable->tail);
}

int
durable_options_parse_which(const char *text, struct session_id *ret)
{
	if (durable_options_is_number(text))
		return command_parse_number(text, 1, INT64_MAX, &ret->number);
	if (!session_name_is_valid(text))
		return -EINVAL;
	(void)strlcpy(ret->name, text, sizeof(ret->name));
	return 0;
}

void
durable_options_draw_name(const char *program, char name[VMM_GUEST_NAME_MAX + 1])
{
	const char *slash = strrchr(program, '/');
	uint32_t number = 0;
	size_t used = 0;

	for (const char *c = slash != NULL ? slash + 1 : program;
	     *c != '\0' && used < DURABLE_OPTIONS_FRONT_MAX; c++) {
		const char one[] = { *c, '\0' };

		if (session_name_is_valid(one))
			name[used++] = *c;
	}
	/* Without one the agent refuses a second of the name. */
	(void)entropy_draw(&number, sizeof(number));
	(void)snprintf(
	    name + used, VMM_GUEST_NAME_MAX + 1 - used, "%s%08x", used > 0 ? "-" : "s-", number);
}
