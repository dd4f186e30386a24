/*
 * file_watch: WATCH of port 53: from the kernel's events to ours.
 *
 * SPDX-License-Identifier: MIT
 */
#include "session/file/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "platform/clock.h"
#include "platform/compat.h"
#include "platform/fd.h"
#include "session/file/temporary.h"
#include "session/file/path.h"
#include "session/file/reply.h"
#include "session/file/user.h"
#include "session/file/watch_queue.h"
#include "session/file/watch_scan.h"
#include "session/file/watch_tell.h"
#include "session/stop.h"

/* How long the second half of a rename may take to follow the first. The kernel
 * queues both in one call, so it is there already but for an unlucky read. */
#define FILE_WATCH_PAIR_MS 10

/* How long a host may take for the last frame while the agent shuts down. */
#define FILE_WATCH_LAST_MS 1000

/* A name in a directory, and where it is. */
struct file_watch_spot {
	struct file_watch_dir *dir; /* NULL: one that is not watched any more */
	const char *name;
	bool is_unnamed; /* the path is too long */
	char path[PATH_MAX];
};

/* Whether the host asked for NAME of DIR. */
static bool
file_watch_is_wanted(
    const struct file_watch *watch, const struct file_watch_dir *dir, const char *name)
{
	return watch->only == NULL || (dir == watch->dirs.top && strcmp(name, watch->only) == 0);
}

static void
file_watch_spot(
    struct file_watch *watch, const struct inotify_event *event, struct file_watch_spot *ret)
{
	ret->dir = file_watch_table_find(&watch->dirs, event->wd);
	ret->name = event->name;
	ret->is_unnamed = false;
	if (ret->dir == NULL)
		return;
	if (watch->only != NULL && file_watch_is_wanted(watch, ret->dir, event->name))
		(void)strlcpy(ret->path, watch->path, sizeof(ret->path));
	else
		ret->is_unnamed = file_watch_table_path(ret->dir, event->name, ret->path) < 0;
}

/* ---- what happened to a name ------------------------------------------- */

static int
file_watch_tell_spot(
    struct file_watch *watch, enum file_event_kind kind, const struct file_watch_spot *spot)
{
	if (spot->is_unnamed)
		return file_watch_tell_unnamed(watch, spot->dir);
	return file_watch_tell(watch, kind, spot->path, "");
}

/* Something is at SPOT that was not there. */
static int
file_watch_appeared(struct file_watch *watch, const struct file_watch_spot *spot, bool is_dir)
{
	int r = file_watch_tell_spot(watch, FILE_EVENT_CREATED, spot);

	if (r == 0 && watch->recursive && is_dir && !spot->is_unnamed)
		r = file_watch_scan_new(watch, spot->dir, spot->name);
	return r;
}

static int
file_watch_left(struct file_watch *watch, const struct file_watch_spot *spot, bool is_dir)
{
	struct file_watch_dir *dir = NULL;

	if (watch->recursive && is_dir)
		dir = file_watch_table_child(spot->dir, spot->name);
	if (dir != NULL)
		file_watch_table_remove(&watch->dirs, dir, watch->inotify_fd);
	return file_watch_tell_spot(watch, FILE_EVENT_REMOVED, spot);
}

/* A directory has been moved: what is watched of it goes with it. It is looked at
 * again all the same: one that was left out may be watched here, and one that took its
 * place since may have been taken for it. */
static int
file_watch_carry(
    struct file_watch *watch, const struct file_watch_spot *from, const struct file_watch_spot *to)
{
	struct file_watch_dir *dir = file_watch_table_child(from->dir, from->name);
	int r = 0;

	if (dir != NULL) {
		r = file_watch_table_move(&watch->dirs, dir, to->dir, to->name);
		if (r == 0)
			r = file_watch_scan_again(watch, dir);
		else if (r == -ELOOP) /* it is not the one */
			r = 0;
		else
			file_watch_table_remove(&watch->dirs, dir, watch->inotify_fd);
	}
	if (r == -ENOBUFS || r == -ENOMEM)
		return file_watch_leave_out(watch, to->dir, to->path, r);
	return r < 0 ? r : file_watch_scan_new(watch, to->dir, to->name);
}

static int
file_watch_renamed(struct file_watch *watch, const struct inotify_event *from_event,
    const struct inotify_event *to_event)
{
	bool is_dir = (from_event->mask & IN_ISDIR) != 0;
	struct file_watch_spot from;
	struct file_watch_spot to;
	int r;

	file_watch_spot(watch, from_event, &from);
	file_watch_spot(watch, to_event, &to);
	/* Into a directory that has left: so has this. */
	if (to.dir == NULL)
		return file_temporary_is_name(from.name) ? 0
							 : file_watch_left(watch, &from, is_dir);
	/* It is a WRITE's, which takes temporary names for files that are there. */
	if (file_temporary_is_name(from.name))
		return file_watch_tell_spot(watch, FILE_EVENT_MODIFIED, &to);
	if (from.is_unnamed || to.is_unnamed) {
		r = file_watch_left(watch, &from, is_dir);
		return r < 0 ? r : file_watch_appeared(watch, &to, is_dir);
	}
	r = file_watch_tell(watch, FILE_EVENT_RENAMED, from.path, to.path);
	return r == 0 && watch->recursive && is_dir ? file_watch_carry(watch, &from, &to) : r;
}

/* The first half of a rename. Returns -EAGAIN while the second may still come. */
static int
file_watch_moved(struct file_watch *watch, const struct inotify_event *from)
{
	struct inotify_event *to = file_watch_queue_pair(watch, from);
	struct file_watch_dir *from_dir = file_watch_table_find(&watch->dirs, from->wd);
	struct file_watch_spot spot;

	if (to == NULL && !watch->waited)
		return -EAGAIN;
	watch->waited = false;
	if (to == NULL) {
		if (!file_watch_is_wanted(watch, from_dir, from->name) ||
		    file_temporary_is_name(from->name))
			return 0;
		file_watch_spot(watch, from, &spot);
		return file_watch_left(watch, &spot, (from->mask & IN_ISDIR) != 0);
	}
	to->mask = 0; /* told with this one */
	if (!file_watch_is_wanted(watch, from_dir, from->name) &&
	    !file_watch_is_wanted(watch, file_watch_table_find(&watch->dirs, to->wd), to->name))
		return 0;
	return file_watch_renamed(watch, from, to);
}

/* Whether NAME, at PATH, is the kernel's word for an unnamed file (O_TMPFILE): "#"
 * and its inode's number, where nothing is. */
static bool
file_watch_is_tmpfile(const char *name, const char *path)
{
	struct stat status;

	return name[0] == '#' && name[1] != '\0' &&
	       name[1 + strspn(name + 1, "0123456789")] == '\0' &&
	       fstatat(AT_FDCWD, path, &status, AT_SYMLINK_NOFOLLOW) < 0;
}

/* An event about a name in the watched directory DIR. */
static int
file_watch_name(
    struct file_watch *watch, const struct inotify_event *event, const struct file_watch_dir *dir)
{
	struct file_watch_spot spot;

	if (event->mask & IN_MOVED_FROM)
		return file_watch_moved(watch, event);
	if (!file_watch_is_wanted(watch, dir, event->name) || file_temporary_is_name(event->name))
		return 0;
	file_watch_spot(watch, event, &spot);
	if (event->mask & (IN_CREATE | IN_MOVED_TO))
		return file_watch_appeared(watch, &spot, (event->mask & IN_ISDIR) != 0);
	if (event->mask & IN_DELETE)
		return file_watch_tell_spot(watch, FILE_EVENT_REMOVED, &spot);
	if ((event->mask & (IN_MODIFY | IN_ATTRIB)) == 0 ||
	    (!spot.is_unnamed && file_watch_is_tmpfile(spot.name, spot.path)))
		return 0;
	return file_watch_tell_spot(watch, FILE_EVENT_MODIFIED, &spot);
}

/* ---- the loop ---------------------------------------------------------- */

/* Something happened to the watched directory itself. */
static int
file_watch_top(struct file_watch *watch, const struct inotify_event *event)
{
	if (event->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED))
		return -ESTALE;
	if ((event->mask & IN_ATTRIB) && watch->only == NULL)
		return file_watch_tell(watch, FILE_EVENT_MODIFIED, watch->path, "");
	return 0;
}

static int
file_watch_handle(struct file_watch *watch, const struct inotify_event *event)
{
	struct file_watch_dir *dir;

	if (event->mask & IN_Q_OVERFLOW)
		return -EOVERFLOW;
	dir = file_watch_table_find(&watch->dirs, event->wd);
	/* A directory that we let go of still had something in the queue. */
	if (dir == NULL)
		return 0;
	if (event->len > 0)
		return file_watch_name(watch, event, dir);
	if (dir == watch->dirs.top)
		return file_watch_top(watch, event);
	if (event->mask & IN_IGNORED)
		file_watch_table_remove(&watch->dirs, dir, watch->inotify_fd);
	return 0;
}

/* What has been read is told in one send. */
static int
file_watch_loop(struct file_watch *watch)
{
	int r = file_watch_tell_noted(watch);

	while (r == 0) {
		struct inotify_event *event = file_watch_queue_head(watch);

		r = event != NULL ? file_watch_handle(watch, event) : file_watch_flush(watch);
		if (r == 0 && event != NULL)
			file_watch_queue_pop(watch);
		else if (r == 0)
			r = file_watch_queue_fill(watch, -1);
		else if (r == -EAGAIN) {
			r = file_watch_queue_fill(watch, FILE_WATCH_PAIR_MS);
			watch->waited = true;
		}
	}
	return r;
}

/* Finds out what is to be watched: PATH, or for what is not a directory a name in the one
 * that it is in. */
static int
file_watch_look(struct file_watch *watch, struct file_parts *ret_parts)
{
	struct file_user FILE_USER_SCOPE user = { 0 };
	char real[PATH_MAX];
	struct stat status;
	int r = watch->has_user ? file_user_enter_again(&user) : 0;

	if (r < 0)
		return r;
	if (fstatat(AT_FDCWD, watch->path, &status, 0) < 0)
		return -errno;
	watch->top_dev = status.st_dev;
	watch->top_ino = status.st_ino;
	if (S_ISDIR(status.st_mode))
		return 0;
	if (realpath(watch->path, real) == NULL)
		return -errno;
	watch->recursive = false;
	watch->only = ret_parts->name;
	return file_path_split(real, ret_parts);
}

/* The inotify instance is the agent's own: the kernel counts watches by its owner, and a
 * user who is watched could use up that user's limit. */
static int
file_watch_open(struct file_watch *watch, struct file_parts *parts)
{
	int r = file_watch_look(watch, parts);

	if (r < 0)
		return r;
	watch->home_fd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	watch->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (watch->home_fd < 0 || watch->inotify_fd < 0)
		return -errno;
	return file_watch_scan_top(watch, watch->only != NULL ? parts->dir : watch->path);
}

/* ---- the session ------------------------------------------------------- */

/* Waits for room for the last frame: however long the host takes, but not while the
 * agent shuts down. */
static int
file_watch_await_room(struct file_watch *watch, int error)
{
	struct conn *conn = &watch->session->conn;
	struct pollfd host = { .fd = conn_fd(conn), .events = POLLOUT | POLLRDHUP };
	uint64_t deadline;
	int n;

	if (error != -ECANCELED)
		return conn_await_room(conn);
	deadline = clock_mono_ms() + FILE_WATCH_LAST_MS;
	do {
		n = stop_poll(&host, 1, deadline, false);
	} while (n < 0 && errno == EINTR);
	return n > 0 && host.revents == POLLOUT ? 0 : -EPIPE;
}

/* What is told before the end. Returns what the last frame is to say; 0: nothing, as
 * nobody would read it. */
static int
file_watch_end(struct file_watch *watch, int error)
{
	int r = 0;

	if (!watch->stands)
		return error;
	if (error == -EPIPE)
		return 0;
	if (error == -ESTALE) {
		error = -ENOENT;
		r = file_watch_tell(watch, FILE_EVENT_REMOVED, watch->path, "");
	}
	if (r == 0)
		r = file_watch_flush(watch);
	if (r == -EPIPE)
		return 0;
	if (r < 0)
		error = r;
	return file_watch_await_room(watch, error) == 0 ? error : 0;
}

static void
file_watch_fail(struct session *session, int error, const char *path)
{
	static const struct {
		int error;
		const char *words;
	} known[] = {
		{ EOVERFLOW, "events came faster than they were taken" },
		{ ENOSPC, "fs.inotify.max_user_watches allows no more" },
		{ EMFILE, "fs.inotify.max_user_instances allows no more" },
		{ ENOBUFS, "more directories than can be watched at once" },
		{ ECANCELED, "the agent is shutting down" },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (error == -known[i].error) {
			file_reply_text(session, error, "%s: %s", path, known[i].words);
			return;
		}
	}
	file_reply_error(session, error == -ESTALE ? -ENOENT : error, path);
}

static int
file_watch_run(struct file_watch *watch)
{
	struct file_parts parts;
	int r = file_watch_open(watch, &parts);

	if (r == 0)
		r = conn_send(&watch->session->conn, VMM_GUEST_FILE_ACK, NULL, 0);
	if (r == 0) {
		watch->stands = true;
		r = file_watch_loop(watch);
	}
	r = file_watch_end(watch, r);
	fd_close(&watch->inotify_fd);
	fd_close(&watch->home_fd);
	file_watch_table_done(&watch->dirs);
	return r;
}

/* Watches PATH. Returns what the last frame is to say; 0: nothing. */
static int
file_watch_begin(struct session *session, const struct file_request *request, const char *path)
{
	struct file_watch *watch = calloc(1, sizeof(*watch));
	struct file_user user = { 0 };
	int r = -ENOMEM;

	if (watch == NULL)
		return r;
	watch->session = session;
	watch->path = path;
	watch->recursive = request->recursive;
	watch->gaps = request->gaps;
	watch->home_fd = -1;
	watch->inotify_fd = -1;
	r = file_user_enter(&user, session, request->user);
	watch->has_user = user.entered;
	file_user_leave(&user);
	/* Else it was said why. */
	r = r == 0 ? file_watch_run(watch) : 0;
	free(watch);
	return r;
}

void
file_watch_serve(struct session *session, uint8_t type, const uint8_t *payload, size_t len)
{
	struct file_request request = { 0 };
	char path[PATH_MAX];
	int r;

	if (file_reply_parse(session, type, payload, len, &request) < 0)
		return;
	if (file_reply_path(session, request.path, path) == 0) {
		for (size_t end = strlen(path); end > 1 && path[end - 1] == '/'; end--)
			path[end - 1] = '\0';
		session_describe(session, "", path);
		r = file_watch_begin(session, &request, path);
		if (r < 0)
			file_watch_fail(session, r, path);
	}
	file_request_done(&request);
	(void)malloc_trim(0);
}
