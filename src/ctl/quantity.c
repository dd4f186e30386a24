/*
 * size_text: numbers of bytes as people write them.
 */
#include "ctl/size_text.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIZE_TEXT_STEP 1024

static const char size_text_units[] = "KMGTPE";

void
size_text_format(char *text, uint64_t bytes)
{
	double value = (double)bytes;
	size_t unit = 0;

	if (bytes < SIZE_TEXT_STEP) {
		(void)snprintf(text, SIZE_TEXT_MAX, "%u B", (unsigned)bytes);
		return;
	}
	/* 1023.6 KiB would be shown as 1024 KiB. */
	for (value /= SIZE_TEXT_STEP; value >= SIZE_TEXT_STEP - 0.5; value /= SIZE_TEXT_STEP)
		unit++;
	(void)snprintf(text, SIZE_TEXT_MAX, value < 9.95 ? "%.1f %ciB" : "%.0f %ciB", value,
	    size_text_units[unit]);
}

int
size_text_parse(const char *text, uint64_t *ret)
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
		const char *unit = strchr(size_text_units, toupper((unsigned char)*end));

		if (unit == NULL || (end[1] != '\0' && strcmp(end + 1, "iB") != 0))
			return -EINVAL;
		for (const char *u = size_text_units; u <= unit; u++) {
			if (number > UINT64_MAX / SIZE_TEXT_STEP)
				return -EINVAL;
			number *= SIZE_TEXT_STEP;
		}
	}
	*ret = number;
	return 0;
}
