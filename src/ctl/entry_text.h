/*
 * entry_text: a file's entry in the words of ls(1).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_ENTRY_TEXT_H
#define CTL_ENTRY_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "protocol/file_entry.h"

#define ENTRY_TEXT_MODE_LEN 10
#define ENTRY_TEXT_MODE_MAX 12
#define ENTRY_TEXT_TIME_MAX 64

/* "-rwxr-sr-x", as strmode(3) has it, to TEXT of ENTRY_TEXT_MODE_MAX bytes. */
void entry_text_format_mode(const struct file_entry *entry, char *text);

/* The time of modification, in our time zone, to TEXT of ENTRY_TEXT_TIME_MAX bytes:
 * "2026-01-31 23:59", or WHOLE "2026-01-31 23:59:59.123456789 +0100". */
void entry_text_format_time(const struct file_entry *entry, bool whole, char *text);

/* "file", "directory" and so on. */
const char *entry_text_kind(const struct file_entry *entry);

#endif
