/*
 * SPDX-License-Identifier: MIT
 */
#include "platform/text.h"

#include <stdio.h>

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
