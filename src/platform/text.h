/*
 * text: text made by a format, which a buffer bounds.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PLATFORM_TEXT_H
#define PLATFORM_TEXT_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

/* As snprintf(3), cut at SIZE, which is not 0. Returns the length of what stands in TEXT. */
size_t text_format(char *text, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

size_t text_format_args(char *text, size_t size, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));

/* Writes "512 B", "1.5 KiB", "23 MiB" to TEXT. */
#define TEXT_BYTES_MAX 32
void text_format_bytes(char text[TEXT_BYTES_MAX], uint64_t bytes);

#endif
