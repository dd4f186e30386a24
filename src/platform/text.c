/*
 * SPDX-License-Identifier: MIT
 */
#include "platform/text.h"

#include <stdio.h>

#define TEXT_BYTES_STEP 1024

size_t
text_format_args(char *text, size_t size, const char *format, va_list args)
{
	int n = vsnprintf(text, size, format, args);

	if (n < 0)
		n = 0;
	return (size_t)n < size ? (size_t)n : size - 1;
}

size_t
text_format(char *text, size_t size, const char *format, ...)
{
	va_list args;
	size_t len;

	va_start(args, format);
	len = text_format_args(text, size, format, args);
	va_end(args);
	return len;
}

void
text_format_bytes(char text[TEXT_BYTES_MAX], uint64_t bytes)
{
	static const char units[] = "KMGTPE";
	double value = (double)bytes;
	size_t unit = 0;

	if (bytes < TEXT_BYTES_STEP) {
		(void)text_format(text, TEXT_BYTES_MAX, "%u B", (unsigned)bytes);
		return;
	}
	/* 1023.6 KiB would be shown as 1024 KiB. */
	for (value /= TEXT_BYTES_STEP; value >= TEXT_BYTES_STEP - 0.5; value /= TEXT_BYTES_STEP)
		unit++;
	(void)text_format(
	    text, TEXT_BYTES_MAX, value < 9.95 ? "%.1f %ciB" : "%.0f %ciB", value, units[unit]);
}
