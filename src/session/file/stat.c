/*
 * file_stat: STAT and LIST of port 53.
 *
 * SPDX-License-Identifier: MIT
 */
#include "session/file/stat.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "platform/dir.h"
#include "platform/watchdog.h"
#include "protocol/file_entry.h"
#include "session/file/look.h"
#include "session/file/path.h"
#include "session/file/serve.h"
#include "session/rest.h"

/* Between two looks at the host. */
#define FILE_STAT_CHECK_EVERY 1024

static int
file_stat(struct file_work *work)
{
	char target[PATH_MAX];
	char name[NAME_MAX + 1];
	struct file_entry entry;
	int r;

	file_path_last(work->path, name);
	r = file_look(AT_FDCWD, work->path, name, target, &entry);
	if (r < 0)
		return r;
	work->type = VMM_GUEST_FILE_STAT;
	work->text = file_entry_format(&entry, &work->len);
	return work->text == NULL ? -ENOMEM : 0;
}

void
file_stat_serve(struct session *session, uint8_t type, const uint8_t *payload, size_t len)
{
	file_serve(session, type, payload, len, file_stat);
}

/* ---- LIST -------------------------------------------------------------- */

struct file_names {
	char **names;
	size_t count;
	size_t size;
	size_t text_len; /* what their entries take at least */
};

static void
file_names_done(struct file_names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->names[i]);
	free(names->names);
}

static int
file_names_add(struct file_names *names, const char *name)
{
	/* More than that can't make a list that fits into a frame. */
	names->text_len += FILE_ENTRY_TEXT_MIN + strlen(name);
	if (names->text_len > VMM_GUEST_FRAME_MAX)
		return -EOVERFLOW;
	if (names->count == names->size) {
		size_t size = names->size > 0 ? names->size * 2 : 64;
		char **grown = reallocarray(names->names, size, sizeof(*grown));

		if (grown == NULL)
			return -ENOMEM;
		names->names = grown;
		names->size = size;
	}
	names->names[names->count] = strdup(name);
	if (names->names[names->count] == NULL)
		return -ENOMEM;
	names->count++;
	return 0;
}

static int
file_names_compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int
file_names_read(DIR *dir, struct session *session, struct file_names *names)
{
	struct dirent *entry;
	int r = 0;

	while (r == 0 && (r = dir_next(dir, &entry)) == 0 && entry != NULL) {
		rest_point();
		watchdog_ping();
		r = file_names_add(names, entry->d_name);
		if (r == 0 && names->count % FILE_STAT_CHECK_EVERY == 0)
			r = file_reply_check(session);
	}
	return r;
}

/* What went away since its name was read is left out. What can't be looked at, such as the
 * point of a dead mount, is listed as something other, and hides none of the rest. */
static int
file_list_look(
    int dir_fd, struct session *session, const struct file_names *names, struct file_list *list)
{
	char target[PATH_MAX];
	struct file_entry entry;
	int r = 0;

	for (size_t i = 0; r == 0 && i < names->count; i++) {
		const char *name = names->names[i];

		rest_point();
		watchdog_ping();
		r = file_look(dir_fd, name, name, target, &entry);
		if (r < 0 && r != -ENOENT)
			entry = (struct file_entry){
				.name = name, .kind = FILE_ENTRY_OTHER, .symlink_target = ""
			};
		r = r == -ENOENT ? 0 : file_list_add(list, &entry);
		if (r == 0 && i % FILE_STAT_CHECK_EVERY == 0)
			r = file_reply_check(session);
	}
	return r == 0 ? file_list_finish(list) : r;
}

static int
file_list_make(struct session *session, const char *path, struct file_list *list)
{
	struct file_names names = { 0 };
	DIR CLEANUP_DIR *dir = NULL;
	int r = dir_open(AT_FDCWD, path, 0, &dir);

	if (r == 0)
		r = file_names_read(dir, session, &names);
	if (r == 0 && names.count > 0)
		qsort(names.names, names.count, sizeof(*names.names), file_names_compare);
	if (r == 0)
		r = file_list_look(dirfd(dir), session, &names, list);
	file_names_done(&names);
	return r;
}

static int
file_list(struct file_work *work)
{
	struct file_list list = { 0 };
	int r = file_list_make(work->session, work->path, &list);

	if (r == -EOVERFLOW)
		work->why = "the list does not fit into one frame";
	work->type = VMM_GUEST_FILE_LIST;
	work->text = list.text;
	work->len = list.len;
	return r;
}

void
file_list_serve(struct session *session, uint8_t type, const uint8_t *payload, size_t len)
{
	file_serve(session, type, payload, len, file_list);
}
