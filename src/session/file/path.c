/*
 * SPDX-License-Identifier: MIT
 */
#include "session/file/path.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int
file_path_parse(const char *given, char ret[PATH_MAX])
{
	size_t len = strlen(given);
	size_t front = given[0] != '/';

	if (len == 0)
		return -EINVAL;
	if (front + len >= PATH_MAX)
		return -ENAMETOOLONG;
	ret[0] = '/';
	memcpy(ret + front, given, len + 1);
	return 0;
}

/* The length of PATH without slashes at its end; 0 for the root. */
static size_t
file_path_trim(const char *path, size_t len)
{
	while (len > 0 && path[len - 1] == '/')
		len--;
	return len;
}

int
file_path_split(const char *path, struct file_parts *ret)
{
	size_t whole = strlen(path);
	size_t len = file_path_trim(path, whole);
	size_t name = len;
	size_t dir;

	if (whole == 0)
		return -EINVAL;
	while (name > 0 && path[name - 1] != '/')
		name--;
	if (len - name > NAME_MAX || name >= PATH_MAX)
		return -ENAMETOOLONG;
	dir = file_path_trim(path, name);
	memcpy(ret->dir, path, dir);
	if (dir == 0)
		ret->dir[dir++] = path[0] == '/' ? '/' : '.';
	ret->dir[dir] = '\0';
	memcpy(ret->name, path + name, len - name);
	ret->name[len - name] = '\0';
	if (len == 0)
		memcpy(ret->name, ".", 2);
	ret->slash = len < whole;
	return 0;
}

bool
file_path_is_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

void
file_path_last(const char *path, char ret[NAME_MAX + 1])
{
	size_t len = file_path_trim(path, strlen(path));
	size_t name = len;

	while (name > 0 && path[name - 1] != '/')
		name--;
	if (len == 0) {
		memcpy(ret, "/", 2);
		return;
	}
	if (len - name > NAME_MAX)
		len = name + NAME_MAX;
	memcpy(ret, path + name, len - name);
	ret[len - name] = '\0';
}

int
file_path_join(char *ret, size_t size, const char *dir, const char *name)
{
	size_t len = strlen(dir);
	const char *between = len > 0 && dir[len - 1] == '/' ? "" : "/";
	int n = snprintf(ret, size, "%s%s%s", dir, between, name);

	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}
