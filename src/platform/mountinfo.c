/*
 * SPDX-License-Identifier: MIT
 */
#include "platform/mountinfo.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* Between the optional fields, of which there may be any number, and the last three. */
#define MOUNTINFO_SEPARATOR " - "

void
mountinfo_unescape(char *text)
{
	const char *from = text;
	unsigned code;

	while (*from != '\0') {
		if (*from == '\\' && sscanf(from + 1, "%3o", &code) == 1) {
			*text++ = (char)code;
			from += 4;
		} else {
			*text++ = *from++;
		}
	}
	*text = '\0';
}

/* Cuts the next word off *REST, and unescapes it; NULL: there is none. */
static char *
mountinfo_take(char **rest)
{
	char *word = strsep(rest, " ");

	if (word == NULL || word[0] == '\0')
		return NULL;
	mountinfo_unescape(word);
	return word;
}

bool
mountinfo_parse(char *line, struct mountinfo *ret)
{
	char *last = strstr(line, MOUNTINFO_SEPARATOR);
	struct mountinfo mount = { 0 };
	int numbers_len = 0;
	char *first;

	if (last == NULL)
		return false;
	*last = '\0';
	last += strlen(MOUNTINFO_SEPARATOR);
	if (sscanf(line, "%u %u %u:%u %n", &mount.id, &mount.parent, &mount.major, &mount.minor,
		&numbers_len) != 4 ||
	    numbers_len == 0)
		return false;
	first = line + numbers_len;
	mount.root = mountinfo_take(&first);
	mount.point = mountinfo_take(&first);
	mount.type = mountinfo_take(&last);
	mount.source = mountinfo_take(&last);
	mount.options = strsep(&last, " ");
	if (mount.root == NULL || mount.point == NULL || mount.type == NULL ||
	    mount.options == NULL)
		return false;
	if (mount.source == NULL)
		mount.source = "";
	*ret = mount;
	return true;
}

const char *
mountinfo_option(const char *options, const char *name, unsigned *ret_len)
{
	size_t name_len = strlen(name);

	while (options != NULL) {
		size_t len = strcspn(options, ",");

		if (len >= name_len && strncmp(options, name, name_len) == 0 &&
		    (len == name_len || options[name_len] == '=')) {
			*ret_len = (unsigned)(len > name_len ? len - name_len - 1 : 0);
			return options + len - *ret_len;
		}
		options = options[len] == ',' ? options + len + 1 : NULL;
	}
	return NULL;
}

bool
mountinfo_is_below(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	if (strcmp(dir, "/") == 0)
		return path[0] == '/';
	return strncmp(path, dir, len) == 0 && (path[len] == '/' || path[len] == '\0');
}
