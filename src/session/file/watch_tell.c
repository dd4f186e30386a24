/*
 * A host that does not read is waited for without a limit, as with a program's output.
 * What happens meanwhile is in the kernel's queue, and whether that overflows decides how
 * the watch goes on.
 *
 * SPDX-License-Identifier: MIT
 */
#include "session/file/watch_tell.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "platform/io_error.h"

int
file_watch_flush(struct file_watch *watch)
{
	size_t len = watch->out_len;
	size_t count = watch->out_count;

	watch->out_len = 0;
	watch->out_count = 0;
	return len == 0 ? 0 : conn_send_frames(&watch->session->conn, watch->out, len, count);
}

static int
file_watch_put(struct file_watch *watch, const char *text, size_t len)
{
	uint8_t *frame;
	int r = 0;

	if (len + VMM_GUEST_HEADER_LEN > FILE_WATCH_OUT_SIZE)
		return -EMSGSIZE;
	if (len + VMM_GUEST_HEADER_LEN > FILE_WATCH_OUT_SIZE - watch->out_len)
		r = file_watch_flush(watch);
	frame = watch->out + watch->out_len;
	frame_header_format(frame, VMM_GUEST_FILE_EVENT, (uint32_t)len);
	memcpy(frame + VMM_GUEST_HEADER_LEN, text, len);
	watch->out_len += VMM_GUEST_HEADER_LEN + len;
	watch->out_count++;
	return r;
}

static int
file_watch_tell_event(struct file_watch *watch, const struct file_event *event)
{
	size_t len;
	char *text = file_event_format(event, &len);
	int r = text != NULL ? file_watch_put(watch, text, len) : -ENOMEM;

	free(text);
	return r;
}

int
file_watch_tell(
    struct file_watch *watch, enum file_event_kind kind, const char *path, const char *renamed_to)
{
	return file_watch_tell_event(
	    watch, &(struct file_event){ .kind = kind, .path = path, .renamed_to = renamed_to });
}

/* ---- gaps -------------------------------------------------------------- */

/* Whether ERROR says that there may be no more watches, of whatever directory. */
static bool
file_watch_is_limit(int error)
{
	static const int limits[] = { ENOSPC, ENOBUFS, ENOMEM, EMFILE, ENFILE };

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		if (error == -limits[i])
			return true;
	}
	return false;
}

static int
file_watch_tell_gap(struct file_watch *watch, const char *path, int error)
{
	if (!watch->gaps)
		return file_watch_tell(watch, FILE_EVENT_MODIFIED, path, "");
	return file_watch_tell_event(watch, &(struct file_event){ .kind = FILE_EVENT_UNWATCHED,
						.path = path,
						.renamed_to = "",
						.error = io_error_name(error) });
}

int
file_watch_leave_out(
    struct file_watch *watch, struct file_watch_dir *dir, const char *path, int error)
{
	if (!watch->gaps && file_watch_is_limit(error))
		return error;
	if (watch->stands)
		return file_watch_tell_gap(watch, path, error);
	if (dir->gap == 0)
		dir->gap = (int16_t)error;
	watch->has_noted = true;
	return 0;
}

int
file_watch_tell_unnamed(struct file_watch *watch, struct file_watch_dir *dir)
{
	char path[PATH_MAX];
	bool was_told;

	dir = file_watch_table_nameable(dir);
	was_told = dir->is_told;
	dir->is_told = true;
	(void)file_watch_table_path(dir, NULL, path);
	if (was_told && watch->stands)
		return file_watch_tell(watch, FILE_EVENT_MODIFIED, path, "");
	return file_watch_leave_out(watch, dir, path, -ENAMETOOLONG);
}

int
file_watch_tell_noted(struct file_watch *watch)
{
	struct file_watch_dir *dir = watch->has_noted ? watch->dirs.top : NULL;
	char path[PATH_MAX];
	int r = 0;

	while (r == 0 && dir != NULL) {
		struct file_watch_dir *next = file_watch_table_next(dir, watch->dirs.top);

		if (dir->gap != 0) {
			(void)file_watch_table_path(dir, NULL, path);
			r = file_watch_tell_gap(watch, path, dir->gap);
			dir->gap = 0;
			if (dir->wd < 0)
				file_watch_table_remove(&watch->dirs, dir, watch->inotify_fd);
		}
		dir = next;
	}
	watch->has_noted = false;
	return r;
}
