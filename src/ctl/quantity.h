/*
 * size_text: numbers of bytes as people write them.
 */
#ifndef CTL_SIZE_TEXT_H
#define CTL_SIZE_TEXT_H

#include <stdint.h>

#define SIZE_TEXT_MAX 16

/* Writes "512 B", "1.5 KiB", "23 MiB" to TEXT of SIZE_TEXT_MAX bytes. */
void size_text_format(char *text, uint64_t bytes);

/* Reads "512", "64K", "1M", "2G" (or "2GiB"), powers of 1024. Returns 0 or -EINVAL. */
int size_text_parse(const char *text, uint64_t *ret);

#endif
