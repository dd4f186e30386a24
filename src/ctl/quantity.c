/*
 * quantity: units and rounding.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/quantity.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUANTITY_STEP 1024
#define QUANTITY_MS_PER_S 1000

static const char quantity_units[] = "KMGTPE";

void
quantity_format_ms(char *text, uint64_t ms)
{
	unsigned long long s = ms / QUANTITY_MS_PER_S;
	unsigned long long m = s / 60;
	unsigned long long h = m / 60;

	if (ms < QUANTITY_MS_PER_S)
		(void)snprintf(text, QUANTITY_MAX, "%llu ms", (unsigned long long)ms);
	else if (m == 0)
		(void)snprintf(text, QUANTITY_MAX, "%llu s", s);
	else if (h == 0)
		(void)snprintf(text, QUANTITY_MAX, "%llum %02llus", m, s % 60);
	else if (h < 24)
		(void)snprintf(text, QUANTITY_MAX, "%lluh %02llum", h, m % 60);
	else
		(void)snprintf(text, QUANTITY_MAX, "%llud %02lluh", h / 24, h % 24);
}

/* A number of many digits is one that no wait has. */
#define QUANTITY_DIGITS_MAX 15
#define QUANTITY_PARTS_MAX 1000000

/* Reads a number with a part, "12.5", in front of *TEXT, and moves that behind it. Returns 0
 * with the whole, and PARTS of *RET_OF, or -EINVAL. */
static int
quantity_parse_decimal(const char **text, uint64_t *ret, uint64_t *ret_parts, uint64_t *ret_of)
{
	const char *at = *text;
	size_t len = strspn(at, "0123456789");

	if (len == 0 || len > QUANTITY_DIGITS_MAX)
		return -EINVAL;
	*ret = strtoull(at, NULL, 10);
	*ret_parts = 0;
	*ret_of = 1;
	at += len;
	if (at[0] == '.') {
		for (at++; isdigit((unsigned char)*at) && *ret_of < QUANTITY_PARTS_MAX; at++) {
			*ret_parts = 10 * *ret_parts + (uint64_t)(*at - '0');
			*ret_of *= 10;
		}
		if (*ret_of == 1)
			return -EINVAL;
	}
	*text = at;
	return 0;
}

int
quantity_parse_hundredths(const char *text, uint64_t *ret)
{
	uint64_t whole;
	uint64_t parts;
	uint64_t of;

	if (quantity_parse_decimal(&text, &whole, &parts, &of) < 0 || text[0] != '\0')
		return -EINVAL;
	*ret = 100 * whole + (100 * parts + of - 1) / of;
	return 0;
}

int
quantity_parse_ms(const char *text, uint64_t *ret)
{
	static const struct {
		const char *name;
		uint64_t ms;
	} units[] = { { "", QUANTITY_MS_PER_S }, { "ms", 1 }, { "s", QUANTITY_MS_PER_S },
		{ "m", 60 * QUANTITY_MS_PER_S }, { "h", 3600 * QUANTITY_MS_PER_S },
		{ "d", 86400 * QUANTITY_MS_PER_S } };
	uint64_t whole;
	uint64_t parts;
	uint64_t of;

	if (quantity_parse_decimal(&text, &whole, &parts, &of) < 0)
		return -EINVAL;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(text, units[i].name) != 0 || whole > UINT64_MAX / 2 / units[i].ms)
			continue;
		*ret = whole * units[i].ms + (parts * units[i].ms + of - 1) / of;
		return 0;
	}
	return -EINVAL;
}

int
quantity_parse_seconds(const char *text, uint64_t *ret)
{
	uint64_t ms;
	int r = quantity_parse_ms(text, &ms);

	if (r == 0)
		*ret = (ms + QUANTITY_MS_PER_S - 1) / QUANTITY_MS_PER_S;
	return r;
}

int
quantity_parse_bytes(const char *text, uint64_t *ret)
{
	unsigned long long number;
	char *end;

	errno = 0;
	if (text[0] < '0' || text[0] > '9')
		return -EINVAL;
	number = strtoull(text, &end, 10);
	if (errno != 0)
		return -EINVAL;
	if (*end != '\0') {
		const char *unit = strchr(quantity_units, toupper((unsigned char)*end));

		if (unit == NULL || (end[1] != '\0' && strcmp(end + 1, "iB") != 0))
			return -EINVAL;
		for (const char *u = quantity_units; u <= unit; u++) {
			if (number > UINT64_MAX / QUANTITY_STEP)
				return -EINVAL;
			number *= QUANTITY_STEP;
		}
	}
	*ret = number;
	return 0;
}
