/*
 * guest_entry: STAT and LIST; links are followed here.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/core/guest_entry.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/core/guest_file.h"
#include "protocol/json.h"

/* As many links in a row as the kernel follows: path_resolution(7). */
#define GUEST_ENTRY_LINKS_MAX 40

static int
guest_entry_ask(const struct client_target *target, const char *path, const char *user, bool list,
    struct file_listing *ret, struct client_error *error)
{
	struct file_request request = { .path = path, .user = user };
	struct json_error json_error = { 0 };
	size_t len;
	char *text;
	int r = guest_file_ask(target, list ? VMM_GUEST_FILE_LIST_REQ : VMM_GUEST_FILE_STAT_REQ,
	    &request, list ? VMM_GUEST_FILE_LIST : VMM_GUEST_FILE_STAT, &text, &len, error);

	if (r < 0)
		return r;
	r = list ? file_listing_parse(text, len, ret, &json_error)
		 : file_listing_parse_one(text, len, ret, &json_error);
	free(text);
	if (r < 0)
		client_fail(error, "vm:%s: the agent's answer can't be understood: %s", path,
		    r == -ENOMEM ? "out of memory" : json_error.text);
	return r;
}

int
guest_entry_list(const struct client_target *target, const char *path, const char *user,
    struct file_listing *ret, struct client_error *error)
{
	return guest_entry_ask(target, path, user, true, ret, error);
}

const char *
guest_entry_path(const char *text)
{
	size_t len = strlen(GUEST_ENTRY_MARK);

	if (strncmp(text, GUEST_ENTRY_MARK, len) != 0)
		return text;
	return text[len] != '\0' ? text + len : "/";
}

bool
guest_entry_is_name(const char *name)
{
	return name[0] != '\0' && strchr(name, '/') == NULL && strcmp(name, ".") != 0 &&
	       strcmp(name, "..") != 0;
}

char *
guest_entry_join(const char *directory, const char *name)
{
	size_t len = strlen(directory);
	size_t size = len + 1 + strlen(name) + 1;
	char *path = malloc(size);

	if (path == NULL)
		return NULL;
	memcpy(path, directory, len);
	if (len == 0 || directory[len - 1] != '/')
		path[len++] = '/';
	(void)strlcpy(path + len, name, size - len);
	return path;
}

/* Where the link at *PATH leads, as a path that can be asked for, in its place. Returns
 * 0, -ENAMETOOLONG where no path of a guest is so long, or -ENOMEM. */
static int
guest_entry_follow(char **path, const char *target)
{
	const char *slash = strrchr(*path, '/');
	char *joined;

	if (target[0] == '/' || slash == NULL) {
		joined = strdup(target);
	} else {
		(*path)[slash - *path] = '\0';
		joined = guest_entry_join(*path, target);
	}
	free(*path);
	*path = joined;
	if (joined == NULL)
		return -ENOMEM;
	return strlen(joined) < PATH_MAX ? 0 : -ENAMETOOLONG;
}

int
guest_entry_stat(const struct client_target *target, const char *path, const char *user,
    bool follow, struct file_listing *ret, struct client_error *error)
{
	char *here = strdup(path);
	int r = -ENOMEM;

	if (here == NULL)
		client_fail(error, "out of memory");
	for (int links = 0; here != NULL; links++) {
		struct file_listing CLEANUP_LISTING listing = { 0 };

		r = guest_entry_ask(target, here, user, false, &listing, error);
		if (r < 0)
			break;
		if (!follow || listing.entries[0].kind != FILE_ENTRY_SYMLINK) {
			*ret = listing;
			listing = (struct file_listing){ 0 };
			break;
		}
		r = guest_entry_follow(&here, listing.entries[0].symlink_target);
		if (r == 0 && links == GUEST_ENTRY_LINKS_MAX)
			r = -ELOOP;
		if (r < 0) {
			client_fail(error, "vm:%s: %s", path, strerror(-r));
			break;
		}
	}
	free(here);
	return r;
}

/* It was PATH/. that was asked for; what is said is of PATH. */
static void
guest_entry_name(struct client_error *error, const char *path)
{
	struct client_error said = *error;
	char *inside = guest_entry_join(path, ".");
	char *at = inside != NULL ? strstr(said.text, inside) : NULL;

	if (at != NULL)
		client_fail(
		    error, "%.*s%s%s", (int)(at - said.text), said.text, path, at + strlen(inside));
	free(inside);
}

int
guest_entry_type(const struct client_target *target, const char *path, const char *user,
    enum guest_entry_type *ret, struct client_error *error)
{
	struct file_listing CLEANUP_LISTING listing = { 0 };
	char *inside = guest_entry_join(path, ".");
	int r = -ENOMEM;

	/* PATH/. is there if PATH leads to a directory. */
	if (inside == NULL)
		client_fail(error, "out of memory");
	else
		r = guest_entry_ask(target, inside, user, false, &listing, error);
	free(inside);
	switch (r) {
	case 0:
		*ret = GUEST_ENTRY_DIR;
		return 0;
	case -ENOENT:
		*ret = GUEST_ENTRY_NONE;
		return 0;
	case -ENOTDIR:
		*ret = GUEST_ENTRY_FILE;
		return 0;
	case -EREMOTEIO:
	case -ENODATA:
	case -EPROTO:
		*ret = GUEST_ENTRY_UNKNOWN;
		return 0;
	default:
		guest_entry_name(error, path);
		return r;
	}
}
