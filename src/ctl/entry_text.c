/*
 * entry_text: letters by strmode(3), times by strftime(3).
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/entry_text.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

struct entry_text_kind {
	mode_t type; /* 0: the agent does not say which */
	const char *word;
};

static const struct entry_text_kind entry_text_kinds[] = {
	[FILE_ENTRY_FILE] = { S_IFREG, "file" },
	[FILE_ENTRY_DIR] = { S_IFDIR, "directory" },
	[FILE_ENTRY_SYMLINK] = { S_IFLNK, "symbolic link" },
};

/* What is none of these. */
static const struct entry_text_kind entry_text_types[] = {
	[FILE_ENTRY_NOT_TOLD] = { 0, "special file" },
	[FILE_ENTRY_FIFO] = { S_IFIFO, "FIFO" },
	[FILE_ENTRY_SOCKET] = { S_IFSOCK, "socket" },
	[FILE_ENTRY_CHAR] = { S_IFCHR, "character device" },
	[FILE_ENTRY_BLOCK] = { S_IFBLK, "block device" },
	[FILE_ENTRY_NOT_KNOWN] = { 0, "special file" },
};

static const struct entry_text_kind *
entry_text_find(const struct file_entry *entry)
{
	return entry->kind == FILE_ENTRY_OTHER ? &entry_text_types[entry->type]
					       : &entry_text_kinds[entry->kind];
}

void
entry_text_format_mode(const struct file_entry *entry, char *text)
{
	strmode(entry_text_find(entry)->type | entry->mode, text);
	/* A blank, where a BSD has a mark for further permissions. */
	text[ENTRY_TEXT_MODE_LEN] = '\0';
}

void
entry_text_format_time(const struct file_entry *entry, bool whole, char *text)
{
	time_t when = entry->mtime_secs;
	struct tm parts;
	size_t len;

	if (localtime_r(&when, &parts) == NULL) {
		(void)snprintf(text, ENTRY_TEXT_TIME_MAX, "@%lld", (long long)entry->mtime_secs);
		return;
	}
	len = strftime(
	    text, ENTRY_TEXT_TIME_MAX, whole ? "%Y-%m-%d %H:%M:%S" : "%Y-%m-%d %H:%M", &parts);
	if (whole) {
		len += (size_t)snprintf(
		    text + len, ENTRY_TEXT_TIME_MAX - len, ".%09u ", entry->mtime_nanos);
		(void)strftime(text + len, ENTRY_TEXT_TIME_MAX - len, "%z", &parts);
	}
}

const char *
entry_text_kind(const struct file_entry *entry)
{
	return entry_text_find(entry)->word;
}
