/*
 * file_watch: WATCH of port 53: what is to be watched, for how long, and how it ends.
 *
 * SPDX-License-Identifier: MIT
 */
#include "session/file/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "platform/clock.h"
#include "platform/fd.h"
#include "session/file/path.h"
#include "session/file/reply.h"
#include "session/file/user.h"
#include "session/file/watch_event.h"
#include "session/file/watch_queue.h"
#include "session/file/watch_scan.h"
#include "session/file/watch_tell.h"
#include "session/stop.h"

/* How long the second half of a rename may take to follow the first. The kernel
 * queues both in one call, so it is there already but for an unlucky read. */
#define FILE_WATCH_PAIR_MS 10

/* How long a host may take for the last frame while the agent shuts down. */
#define FILE_WATCH_LAST_MS 1000

/* ---- the loop ---------------------------------------------------------- */

/* What has been read is told in one send. */
static int
file_watch_loop(struct file_watch *watch)
{
	int r = file_watch_tell_noted(watch);

	while (r == 0) {
		struct inotify_event *event = file_watch_queue_head(watch);

		r = event != NULL ? file_watch_event(watch, event) : file_watch_flush(watch);
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
}
