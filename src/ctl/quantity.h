/*
 * quantity: numbers of bytes, and durations, as people write them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_QUANTITY_H
#define CTL_QUANTITY_H

#include <stdint.h>

#include "platform/text.h"

#define QUANTITY_MAX TEXT_BYTES_MAX

/* Writes "512 B", "1.5 KiB", "23 MiB" to TEXT of QUANTITY_MAX bytes. */
static inline void
quantity_format_bytes(char *text, uint64_t bytes)
{
	text_format_bytes(text, bytes);
}

/* Writes "250 ms", "12 s", "3m 05s", "2h 10m", "4d 03h" to TEXT of QUANTITY_MAX
 * bytes. */
void quantity_format_ms(char *text, uint64_t ms);

/* Reads "512", "64K", "1M", "2G" (or "2GiB"), powers of 1024. Returns 0 or -EINVAL. */
int quantity_parse_bytes(const char *text, uint64_t *ret);

/* Reads "2", "1.5", "0.25". Returns 0 with hundredths, the next one where it lies between two,
 * or -EINVAL. */
int quantity_parse_hundredths(const char *text, uint64_t *ret);

/* Reads "90", "1.5", "250ms", "90s", "10m", "2h", "7d". Returns 0 with milliseconds, the next one
 * where it lies between two, or -EINVAL. */
int quantity_parse_ms(const char *text, uint64_t *ret);

/* The same, with seconds. */
int quantity_parse_seconds(const char *text, uint64_t *ret);

#endif
