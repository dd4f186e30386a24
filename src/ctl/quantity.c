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
quantity_format_bytes(char *text, uint64_t bytes)
{
	double value = (double)bytes;
	size_t unit = 0;

	if (bytes < QUANTITY_STEP) {
		(void)snprintf(text, QUANTITY_MAX, "%u B", (unsigned)bytes);
		return;
	}
	/* 1023.6 KiB would be shown as 1024 KiB. */
	for (value /= QUANTITY_STEP; value >= QUANTITY_STEP - 0.5; value /= QUANTITY_STEP)
		unit++;
	(void)snprintf(text, QUANTITY_MAX, value < 9.95 ? "%.1f %ciB" : "%.0f %ciB", value,
	    quantity_units[unit]);
}

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

int
quantity_parse_seconds(const char *text, uint64_t *ret)
{
	static const struct {
		char letter;
		unsigned seconds;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 }, { '\0', 1 } };
	unsigned long long number;
	char *end;

	errno = 0;
	if (text[0] < '0' || text[0] > '9')
		return -EINVAL;
	number = strtoull(text, &end, 10);
	if (errno != 0 || (*end != '\0' && end[1] != '\0'))
		return -EINVAL;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (*end != units[i].letter || number > UINT64_MAX / units[i].seconds)
			continue;
		*ret = number * units[i].seconds;
		return 0;
	}
	return -EINVAL;
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
