/*
 * file_write: WRITE of port 53: where the bytes go, and what happens on DONE.
 *
 *   nothing there, or a plain file        an unnamed file takes its name
 *   a file that can't be replaced, in a   an unnamed file next to it takes the
 *   directory where one can be made       bytes, and is copied into it on DONE
 *   anything else that can be written     written over as the bytes come
 */
#include "session/file_write.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "platform/proc.h"
#include "platform/watchdog.h"
#include "session/file_attributes.h"
#include "session/file_in_place.h"
#include "session/file_place.h"
#include "session/file_replace.h"
#include "session/file_reply.h"
#include "session/file_user.h"

#define FILE_WRITE_NEW_MODE 0644

struct file_write {
	struct session *session;
	const struct file_request *request;
	const char *path;
	struct file_place place;
	struct file_replace spool;     /* where the bytes go, if it is open */
	struct file_in_place in_place; /* where they end, if it is open */
	uint64_t total;
	struct frame_header header; /* of the last frame */
	bool whole;		    /* DONE has come */
};

/* ---- where the bytes go ------------------------------------------------ */

static bool
file_write_is_there(const struct file_write *write)
{
	return write->place.fd >= 0;
}

/* What no rename may take the place of: a name of several, and what something is
 * mounted on. */
static bool
file_write_is_pinned(const struct file_place *place)
{
	struct statx found;

	if (place->magic || place->status.st_nlink > 1)
		return true;
	if (statx(place->fd, "", AT_EMPTY_PATH, 0, &found) < 0)
		return false;
	return (found.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

/* What there is must be a file or a device, and a user must be allowed to write
 * it even where a right to the directory would do to replace it. */
static int
file_write_check(const struct file_write *write)
{
	mode_t mode = write->place.status.st_mode;
	char link[PROC_FD_LINK_MAX];

	if (!file_write_is_there(write))
		return write->place.slash ? -EISDIR : 0;
	if (S_ISDIR(mode))
		return -EISDIR;
	if (S_ISFIFO(mode) || S_ISSOCK(mode))
		return -EINVAL;
	if (write->request->user[0] == '\0')
		return 0;
	proc_fd_link(write->place.fd, link);
	return faccessat(proc_dir_fd(), link, W_OK, AT_EACCESS) < 0 ? -errno : 0;
}

/* Whether ERROR of making a file says that none can be made in that directory, as
 * in those of /proc, and not that this is a bad moment for it. */
static bool
file_write_is_no_place(int error)
{
	return error == -EACCES || error == -EPERM || error == -EROFS || error == -ENOENT ||
	       error == -EOPNOTSUPP || error == -EINVAL;
}

static int
file_write_open_in_place(struct file_write *write)
{
	return file_in_place_open(write->session, &write->place, &write->in_place);
}

/* Whether the request says whose the file is to be. */
static bool
file_write_has_owner(const struct file_write *write)
{
	return write->request->has_uid || write->request->has_gid;
}

/* Gives the spool the owner asked for, else the old one. Where that one can't be
 * kept, the file must be. */
static int
file_write_set_owner(struct file_write *write)
{
	const struct file_request *request = write->request;
	bool there = file_write_is_there(write);
	uid_t uid = there ? write->place.status.st_uid : (uid_t)-1;
	gid_t gid = there ? write->place.status.st_gid : (gid_t)-1;

	if (!there && !file_write_has_owner(write))
		return 0;
	if (fchown(write->spool.fd, request->has_uid ? request->uid : uid,
		request->has_gid ? request->gid : gid) == 0)
		return 0;
	return file_write_has_owner(write) ? -errno : file_write_open_in_place(write);
}

static int
file_write_begin(struct file_write *write)
{
	const struct stat *old = &write->place.status;
	bool there = file_write_is_there(write);
	int r = file_write_check(write);

	if (r < 0)
		return r;
	if (there && !S_ISREG(old->st_mode))
		return file_write_open_in_place(write);
	if (there && file_write_is_pinned(&write->place)) {
		r = file_write_open_in_place(write);
		if (r < 0)
			return r;
	}
	r = file_replace_begin(write->session, &write->place, &write->spool);
	if (r < 0 && there && file_write_is_no_place(r))
		return write->in_place.fd >= 0 ? 0 : file_write_open_in_place(write);
	if (r < 0 || write->in_place.fd >= 0)
		return r;
	return file_write_set_owner(write);
}

/* ---- the bytes --------------------------------------------------------- */

static int
file_write_add(struct file_write *write, const uint8_t *bytes, size_t len)
{
	if (write->spool.fd >= 0)
		return fd_write_full(write->spool.fd, bytes, len);
	return file_in_place_add(&write->in_place, bytes, len);
}

/* How an upload is cut short: what is wrong in it, in words; else the path's. */
static void
file_write_fail(struct file_write *write, int error)
{
	const struct frame_header *header = &write->header;
	struct session *session = write->session;
	uint64_t max = session->settings->max_file_bytes;

	if (error == -EFBIG && write->total > max)
		file_reply_text(session, error, "file too large (>%" PRIu64 " bytes)", max);
	else if (error == -EPROTO)
		file_reply_text(
		    session, error, "expected FILE_DATA or FILE_DONE, got 0x%02x", header->type);
	else if (error == -EMSGSIZE)
		file_reply_text(session, -EPROTO, "a frame of %" PRIu32 " bytes, the most is %u",
		    header->len, VMM_GUEST_FRAME_MAX);
	else if (error == -ETIMEDOUT)
		file_reply_text(session, error, "%s: nothing moved for %d s", write->path,
		    session->settings->stall_timeout_ms / 1000);
	else if (error == -ECANCELED)
		file_reply_text(session, error, "%s: the agent is shutting down", write->path);
	else
		file_reply_error(session, error, write->path);
}

/* The payload of one DATA frame. */
static int
file_write_take(struct file_write *write, uint32_t len)
{
	struct session *session = write->session;
	const uint8_t *piece;
	ssize_t n;

	write->total += len;
	if (write->total > session->settings->max_file_bytes)
		return -EFBIG;
	while ((n = conn_read_payload(&session->conn, file_reply_deadline(session), &piece)) > 0) {
		int r = file_write_add(write, piece, (size_t)n);

		if (r < 0)
			return r;
		watchdog_ping();
	}
	return (int)n;
}

/* Takes frames up to DONE. */
static int
file_write_receive(struct file_write *write)
{
	struct frame_header *header = &write->header;
	struct session *session = write->session;
	int r;

	for (;;) {
		*header = (struct frame_header){ 0 };
		r = conn_next_frame(&session->conn, file_reply_deadline(session), header);
		if (r < 0)
			return r;
		if (header->type == VMM_GUEST_FILE_DONE)
			return 0;
		if (header->type != VMM_GUEST_FILE_DATA)
			return -EPROTO;
		r = file_write_take(write, header->len);
		if (r < 0)
			return r;
	}
}

/* ---- DONE -------------------------------------------------------------- */

/* Some files have no modes of their own or nothing to flush, such as those of
 * /proc; that is no reason to call what was written into them a failure. */
static int
file_write_settle_in_place(struct file_write *write)
{
	struct file_request want = *write->request;
	int fd = write->in_place.fd;
	int r = 0;

	file_reply_begin_flush(write->session);
	want.has_mode = want.mode != 0;
	if (!want.has_mode && file_write_has_owner(write)) {
		/* chown(2) may take bits of the mode that is to be kept. */
		want.has_mode = true;
		want.mode = write->place.status.st_mode;
	}
	if (write->in_place.regular)
		r = file_attributes_set(fd, &want);
	if (r < 0 &&
	    (file_write_has_owner(write) || geteuid() != 0 || (r != -EPERM && r != -EOPNOTSUPP)))
		return r;
	if (write->request->fsync && fsync(fd) < 0 && errno != EINVAL)
		return -errno;
	return 0;
}

static int
file_write_commit_in_place(struct file_write *write)
{
	int r = write->spool.fd >= 0 ? file_in_place_copy(&write->in_place, write->spool.fd)
				     : file_in_place_finish(&write->in_place);

	return r < 0 ? r : file_write_settle_in_place(write);
}

/* Flushes the directory, so that the name is there after a power cut. A directory
 * that may not be read, or has only just been made, goes with its file system. */
static int
file_write_flush_dir(const struct file_write *write)
{
	int CLEANUP_FD fd = -1;

	if (!write->place.made_dirs)
		fd = openat(write->place.dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		return fsync(fd) < 0 ? -errno : 0;
	return syncfs(write->spool.fd) < 0 ? -errno : 0;
}

static int
file_write_commit_replacing(struct file_write *write)
{
	struct file_request want = *write->request;
	int r;

	file_reply_begin_flush(write->session);
	if (want.mode == 0)
		want.mode =
		    file_write_is_there(write) ? write->place.status.st_mode : FILE_WRITE_NEW_MODE;
	want.has_mode = true;
	want.has_uid = want.has_gid = false;
	r = file_attributes_set(write->spool.fd, &want);
	if (r < 0)
		return r;
	if (write->request->fsync && fsync(write->spool.fd) < 0)
		return -errno;
	r = file_replace_commit(&write->spool, write->place.name);
	if (r == -EBUSY && file_write_is_there(write)) {
		/* Something was mounted on it since we looked. */
		r = file_write_open_in_place(write);
		return r < 0 ? r : file_write_commit_in_place(write);
	}
	return r == 0 && write->request->fsync ? file_write_flush_dir(write) : r;
}

static int
file_write_commit(struct file_write *write)
{
	return write->in_place.fd >= 0 ? file_write_commit_in_place(write)
				       : file_write_commit_replacing(write);
}

/* ---- the whole --------------------------------------------------------- */

void
file_write_discard(struct session *session)
{
	/* No file has a part in what follows. */
	watchdog_set(0);
	/* It is the last that is said: a host that waits for our end sees it. */
	conn_shut_down(&session->conn);
	conn_discard(&session->conn, VMM_GUEST_DISCARD_MS, VMM_GUEST_FILE_DONE);
}

static int
file_write_run(struct file_write *write)
{
	int r =
	    file_place_open(write->path, FILE_PLACE_FOLLOW | FILE_PLACE_MAKE_DIRS, &write->place);

	if (r == 0)
		r = file_write_begin(write);
	if (r == 0)
		r = file_write_receive(write);
	if (r < 0)
		return r;
	write->whole = true;
	return file_write_commit(write);
}

/* Lets go of all files. What is said then of the one written is said by ERROR's place,
 * if there is no error yet. */
static int
file_write_done(struct file_write *write, int error)
{
	int r = file_in_place_close(&write->in_place);

	file_replace_abort(&write->spool);
	file_place_close(&write->place);
	return error < 0 ? error : r;
}

/* Returns 0 with the outcome in *RET; else FILE_ERR has been sent. */
static int
file_write_as_user(struct file_write *write, int *ret)
{
	struct file_user FILE_USER_SCOPE user = { .entered = false };
	int r = file_user_enter(&user, write->session, write->request->user);

	if (r < 0)
		return r;
	session_describe(write->session, write->request->user, write->path);
	*ret = file_write_done(write, file_write_run(write));
	return 0;
}

/* Answers when no file is open any more: the host may run what it has sent, or
 * unmount it, at once. Returns 0 if DONE has come; else what was sent is an early
 * error, and the rest of the upload is still to be dropped. */
static int
file_write_request(struct session *session, const struct file_request *request)
{
	char path[PATH_MAX];
	struct file_write write = {
		.session = session,
		.request = request,
		.path = path,
		.place = FILE_PLACE_NONE,
		.spool = FILE_REPLACE_NONE,
		.in_place = FILE_IN_PLACE_NONE,
	};
	int outcome = 0;
	int r = file_reply_path(session, request->path, path);

	if (r == 0)
		r = file_write_as_user(&write, &outcome);
	if (r < 0)
		return r;
	if (outcome < 0)
		file_write_fail(&write, outcome);
	else
		file_reply_ack(session);
	return write.whole ? 0 : outcome;
}

void
file_write_serve(struct session *session, uint8_t type, const uint8_t *payload, size_t len)
{
	struct file_request request = { 0 };
	int r = file_reply_parse(session, type, payload, len, &request);

	if (r == 0)
		r = file_write_request(session, &request);
	file_request_done(&request);
	if (r < 0 && r != -EPIPE)
		file_write_discard(session);
}
