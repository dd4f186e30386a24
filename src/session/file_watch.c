/*
 * file_watch: WATCH of port 53: from the kernel's events to ours.
 */
#include "session/file_watch.h"

#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <poll.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/clock.h"
#include "platform/fd.h"
#include "session/file_litter.h"
#include "session/file_path.h"
#include "session/file_reply.h"
#include "session/file_watch_scan.h"
#include "session/stop.h"

#define FILE_WATCH_BUFFER_SIZE (64 * 1024)

/* How long the second half of a rename may take to follow the first. The kernel
 * queues both in one call, so it is there already but for an unlucky read. */
#define FILE_WATCH_PAIR_MS 10

struct file_watch_session {
	struct file_watch watch;
	const char *path; /* as the host gave it; no slashes at the end */
	const char *only; /* the name in the top directory that is watched; NULL: all */
	int top_wd;
	bool waited; /* for the other half of the rename at HEAD */
	size_t head;
	size_t tail;
	alignas(struct inotify_event) char buffer[FILE_WATCH_BUFFER_SIZE];
};

/* ---- reading the kernel's queue ---------------------------------------- */

/* Waits for events for TIMEOUT_MS (-1: no limit) and reads them. Returns how many
 * bytes came, 0 for none in time, -EPIPE, -ECANCELED, or -errno. */
static ssize_t
file_watch_fill(struct file_watch_session *session, int timeout_ms)
{
	struct pollfd wait[] = {
		{ .fd = session->watch.inotify_fd, .events = POLLIN },
		{ .fd = session->watch.session->conn.fd, .events = POLLRDHUP },
	};
	uint64_t deadline = timeout_ms < 0 ? CLOCK_NEVER : clock_mono_ms() + (uint64_t)timeout_ms;
	ssize_t n;

	memmove(session->buffer, session->buffer + session->head, session->tail - session->head);
	session->tail -= session->head;
	session->head = 0;
	n = stop_poll(wait, 2, deadline, true);
	if (stop_is_now())
		return -ECANCELED;
	if (n <= 0)
		return n == 0 || errno == EINTR ? 0 : -errno;
	if (wait[1].revents != 0)
		return -EPIPE;
	n = read(session->watch.inotify_fd, session->buffer + session->tail,
	    sizeof(session->buffer) - session->tail);
	if (n < 0) /* EINVAL: no room for one more event beside those that are held */
		return errno == EAGAIN || errno == EINTR || errno == EINVAL ? 0 : -errno;
	session->tail += (size_t)n;
	return n;
}

static const struct inotify_event *
file_watch_event_at(const struct file_watch_session *session, size_t offset)
{
	return (const void *)(session->buffer + offset);
}

static size_t
file_watch_event_size(const struct inotify_event *event)
{
	return sizeof(*event) + event->len;
}

/* The IN_MOVED_TO that goes with FROM, if it has been read. */
static struct inotify_event *
file_watch_find_pair(struct file_watch_session *session, const struct inotify_event *from)
{
	for (size_t offset = session->head; offset < session->tail;) {
		struct inotify_event *event = (void *)(session->buffer + offset);

		if ((event->mask & IN_MOVED_TO) && event->cookie == from->cookie)
			return event;
		offset += file_watch_event_size(event);
	}
	return NULL;
}

/* ---- telling the host --------------------------------------------------- */

static int
file_watch_tell(struct file_watch_session *session, enum file_event_kind kind, const char *path,
    const char *renamed_to)
{
	const struct file_event event = { .kind = kind, .path = path, .renamed_to = renamed_to };

	return file_watch_send(&session->watch, &event);
}

/* Whether the host asked for NAME of the directory WD. */
static bool
file_watch_is_wanted(const struct file_watch_session *session, int wd, const char *name)
{
	return session->only == NULL || (wd == session->top_wd && strcmp(name, session->only) == 0);
}

/* The path of what EVENT is about. Returns 0, -ENOENT for a directory that is not
 * watched any more, or -ENAMETOOLONG. */
static int
file_watch_path_of(
    struct file_watch_session *session, const struct inotify_event *event, char ret[PATH_MAX])
{
	const char *dir = file_watch_table_find(&session->watch.dirs, event->wd);

	if (dir == NULL)
		return -ENOENT;
	if (session->only != NULL && file_watch_is_wanted(session, event->wd, event->name))
		return strlcpy(ret, session->path, PATH_MAX) < PATH_MAX ? 0 : -ENAMETOOLONG;
	return file_path_join(ret, PATH_MAX, dir, event->name);
}

/* Something is at PATH that was not there. */
static int
file_watch_appeared(struct file_watch_session *session, const struct inotify_event *event)
{
	char path[PATH_MAX];
	int r = file_watch_path_of(session, event, path);

	if (r < 0)
		return r;
	r = file_watch_tell(session, FILE_EVENT_CREATED, path, "");
	if (r == 0 && session->watch.recursive && (event->mask & IN_ISDIR))
		r = file_watch_scan_new(&session->watch, path);
	return r;
}

static int
file_watch_left(struct file_watch_session *session, const struct inotify_event *from)
{
	char path[PATH_MAX];
	int r = file_watch_path_of(session, from, path);

	if (r < 0)
		return r;
	if (session->watch.recursive && (from->mask & IN_ISDIR))
		file_watch_table_leave(&session->watch.dirs, session->watch.inotify_fd, path);
	return file_watch_tell(session, FILE_EVENT_REMOVED, path, "");
}

static int
file_watch_renamed(struct file_watch_session *session, const struct inotify_event *from,
    const struct inotify_event *to)
{
	char old_path[PATH_MAX];
	char new_path[PATH_MAX];
	int r = file_watch_path_of(session, from, old_path);

	if (r < 0)
		return r;
	r = file_watch_path_of(session, to, new_path);
	/* Into a directory that has left: so has this. */
	if (r == -ENOENT)
		return file_litter_is_name(from->name) ? 0 : file_watch_left(session, from);
	if (r < 0)
		return r;
	/* It is a WRITE's, which takes temporary names for files that are there. */
	if (file_litter_is_name(from->name))
		return file_watch_tell(session, FILE_EVENT_MODIFIED, new_path, "");
	r = file_watch_tell(session, FILE_EVENT_RENAMED, old_path, new_path);
	if (r == 0 && session->watch.recursive && (from->mask & IN_ISDIR))
		r = file_watch_table_rename(&session->watch.dirs, old_path, new_path);
	return r;
}

/* The first half of a rename. Returns -EAGAIN while the second may still come. */
static int
file_watch_moved(struct file_watch_session *session, const struct inotify_event *from)
{
	struct inotify_event *to = file_watch_find_pair(session, from);

	if (to == NULL && !session->waited)
		return -EAGAIN;
	session->waited = false;
	if (to == NULL) {
		if (!file_watch_is_wanted(session, from->wd, from->name) ||
		    file_litter_is_name(from->name))
			return 0;
		return file_watch_left(session, from);
	}
	to->mask = 0; /* told with this one */
	if (!file_watch_is_wanted(session, from->wd, from->name) &&
	    !file_watch_is_wanted(session, to->wd, to->name))
		return 0;
	return file_watch_renamed(session, from, to);
}

/* Something happened to the watched directory itself. */
static int
file_watch_top(struct file_watch_session *session, const struct inotify_event *event)
{
	if (event->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT)) {
		int r = file_watch_tell(session, FILE_EVENT_REMOVED, session->path, "");

		return r < 0 ? r : -ENOENT;
	}
	if ((event->mask & IN_ATTRIB) && session->only == NULL)
		return file_watch_tell(session, FILE_EVENT_MODIFIED, session->path, "");
	return 0;
}

/* Whether NAME, at PATH, is the kernel's word for an unnamed file (O_TMPFILE): "#"
 * and its inode's number, where nothing is. */
static bool
file_watch_is_unnamed(const char *name, const char *path)
{
	struct stat status;

	return name[0] == '#' && name[1] != '\0' &&
	       name[1 + strspn(name + 1, "0123456789")] == '\0' && lstat(path, &status) < 0;
}

/* An event about a name in a watched directory. */
static int
file_watch_name(struct file_watch_session *session, const struct inotify_event *event)
{
	char path[PATH_MAX];
	enum file_event_kind kind =
	    event->mask & IN_DELETE ? FILE_EVENT_REMOVED : FILE_EVENT_MODIFIED;
	int r;

	if (event->mask & IN_MOVED_FROM)
		return file_watch_moved(session, event);
	if (!file_watch_is_wanted(session, event->wd, event->name) ||
	    file_litter_is_name(event->name))
		return 0;
	if (event->mask & (IN_CREATE | IN_MOVED_TO))
		return file_watch_appeared(session, event);
	if ((event->mask & (IN_DELETE | IN_MODIFY | IN_ATTRIB)) == 0)
		return 0;
	r = file_watch_path_of(session, event, path);
	if (r < 0 || (kind == FILE_EVENT_MODIFIED && file_watch_is_unnamed(event->name, path)))
		return r;
	return file_watch_tell(session, kind, path, "");
}

static int
file_watch_handle(struct file_watch_session *session, const struct inotify_event *event)
{
	int r;

	if (event->mask & IN_Q_OVERFLOW)
		return -EOVERFLOW;
	if (event->mask & IN_IGNORED)
		file_watch_table_drop(&session->watch.dirs, event->wd);
	if (event->len == 0)
		return event->wd == session->top_wd ? file_watch_top(session, event) : 0;
	/* A directory that we let go of still had something in the queue. */
	r = file_watch_table_find(&session->watch.dirs, event->wd) != NULL
		? file_watch_name(session, event)
		: 0;
	return r == -ENOENT ? 0 : r;
}

/* ---- the loop ----------------------------------------------------------- */

static int
file_watch_loop(struct file_watch_session *session)
{
	for (;;) {
		const struct inotify_event *event = file_watch_event_at(session, session->head);
		ssize_t n;
		int r;

		if (session->head == session->tail) {
			n = file_watch_fill(session, -1);
			if (n < 0)
				return (int)n;
			continue;
		}
		r = file_watch_handle(session, event);
		if (r == -EAGAIN) {
			n = file_watch_fill(session, FILE_WATCH_PAIR_MS);
			if (n < 0)
				return (int)n;
			session->waited = true;
			continue;
		}
		if (r < 0)
			return r;
		session->head += file_watch_event_size(event);
	}
}

/* Finds out what is to be watched: PATH, or for what is no directory the one that
 * it is in. NAME has room for its name there. */
static int
file_watch_open(struct file_watch_session *session, char name[NAME_MAX + 1])
{
	char real[PATH_MAX];
	struct file_parts parts;
	struct stat status;
	int r;

	if (stat(session->path, &status) < 0)
		return -errno;
	session->watch.inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (session->watch.inotify_fd < 0)
		return -errno;
	if (S_ISDIR(status.st_mode))
		return file_watch_scan_top(&session->watch, session->path, &session->top_wd);
	if (realpath(session->path, real) == NULL)
		return -errno;
	r = file_path_split(real, &parts);
	if (r < 0)
		return r;
	memcpy(name, parts.name, sizeof(parts.name));
	session->only = name;
	session->watch.recursive = false;
	return file_watch_scan_top(&session->watch, parts.dir, &session->top_wd);
}

static void
file_watch_fail(struct session *session, int error, const char *path)
{
	if (error == -EOVERFLOW)
		file_reply_text(
		    session, error, "%s: events came faster than they were taken", path);
	else if (error == -ENOSPC)
		file_reply_text(
		    session, error, "%s: fs.inotify.max_user_watches allows no more", path);
	else if (error == -EMFILE)
		file_reply_text(
		    session, error, "%s: fs.inotify.max_user_instances allows no more", path);
	else if (error == -ECANCELED)
		file_reply_text(session, error, "%s: the agent is shutting down", path);
	else
		file_reply_error(session, error, path);
}

static void
file_watch_run(struct session *session, const char *path, bool recursive)
{
	char name[NAME_MAX + 1];
	struct file_watch_session *run = calloc(1, sizeof(*run));
	int r = -ENOMEM;

	if (run != NULL) {
		run->watch.session = session;
		run->watch.recursive = recursive;
		run->watch.inotify_fd = -1;
		run->path = path;
		r = file_watch_open(run, name);
	}
	if (r == 0)
		r = conn_send(&session->conn, VMM_GUEST_FILE_ACK, NULL, 0,
		    session->settings->stall_timeout_ms);
	if (r == 0)
		r = file_watch_loop(run);
	file_watch_fail(session, r, path);
	if (run != NULL) {
		fd_close(&run->watch.inotify_fd);
		file_watch_table_done(&run->watch.dirs);
	}
	free(run);
}

void
file_watch_serve(struct session *session, uint8_t type, const uint8_t *payload, size_t len)
{
	struct file_request request = { 0 };
	char path[PATH_MAX];

	if (file_reply_parse(session, type, payload, len, &request) < 0)
		return;
	if (file_reply_path(session, request.path, path) == 0) {
		for (size_t end = strlen(path); end > 1 && path[end - 1] == '/'; end--)
			path[end - 1] = '\0';
		session_describe(session, "", path);
		file_watch_run(session, path, request.recursive);
	}
	file_request_done(&request);
	(void)malloc_trim(0);
}
