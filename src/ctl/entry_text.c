/*
 * entry_text: a file's entry in the words of ls(1).
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/entry_text.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

static const struct {
	char letter;
	const char *word;
} entry_text_kinds[] = {
	[FILE_ENTRY_FILE] = { '-', "file" },
	[FILE_ENTRY_DIR] = { 'd', "directory" },
	[FILE_ENTRY_SYMLINK] = { 'l', "symbolic link" },
	[FILE_ENTRY_OTHER] = { '?', "special file" },
};

void
entry_text_format_mode(const struct file_entry *entry, char *text)
{
	static const char bits[] = "rwxrwxrwx";

	text[0] = entry_text_kinds[entry->kind].letter;
	for (int i = 0; i < 9; i++)
		text[1 + i] = entry->mode & (S_IRUSR >> i) ? bits[i] : '-';
	if (entry->mode & S_ISUID)
		text[3] = text[3] == 'x' ? 's' : 'S';
	if (entry->mode & S_ISGID)
		text[6] = text[6] == 'x' ? 's' : 'S';
	if (entry->mode & S_ISVTX)
		text[9] = text[9] == 'x' ? 't' : 'T';
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
	return entry_text_kinds[entry->kind].word;
}
