/*
 * copy_ahead: what is under way on a connection, its answers, and what is sent again.
 *
 * A connection that ends between two requests means that none of those which were not
 * answered was begun: they are sent again, on another. Only where nothing at all was
 * answered on it has the oldest failed, so that each connection brings something to an end.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/copy_ahead.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/core/guest_ahead.h"
#include "ctl/core/guest_entry.h"
#include "ctl/target.h"
#include "protocol/file_entry.h"

/* Requests that may be unanswered on a connection: one at first, and two more with each
 * answer, so that little is sent twice to an agent that closes soon; at most this. */
#define COPY_AHEAD_MAX 512

struct copy_ahead {
	struct copy *copy;
	struct copy_jobs sent; /* and put whole, in the order of their answers */
	unsigned sent_count;
	struct copy_jobs again;	  /* come before others */
	struct copy_job *current; /* is being put, behind SENT */
	bool is_answered;	  /* CURRENT is, with this: */
	int r;
	struct client_error error;
	bool is_lost; /* CURRENT's connection is */
	bool is_busy; /* the agent had no worker to spare: time for a pause */
	bool is_late; /* for too long */
	struct copy_patience patience;
	struct guest_ahead guest;
};

static void
copy_ahead_take_back(struct copy_ahead *ahead, struct copy_job *job)
{
	progress_add(&ahead->copy->progress, -job->bytes);
	job->bytes = 0;
}

static void
copy_ahead_put_again(struct copy_ahead *ahead, struct copy_job *job)
{
	copy_ahead_take_back(ahead, job);
	STAILQ_INSERT_TAIL(&ahead->again, job, entry);
}

/* JOB has come to R and ERROR. */
static void
copy_ahead_settle(
    struct copy_ahead *ahead, struct copy_job *job, int r, const struct client_error *error)
{
	if (r == -EBUSY && !ahead->is_late) {
		ahead->is_busy = true;
		copy_ahead_put_again(ahead, job);
		return;
	}
	if (r != -EBUSY) {
		ahead->patience = (struct copy_patience){ 0 };
		ahead->is_late = false;
	}
	if (r < 0)
		copy_ahead_take_back(ahead, job);
	copy_settle(ahead->copy, job, r, error);
}

/* The oldest request of which nothing was heard, out of SENT or being put. */
static struct copy_job *
copy_ahead_oldest(const struct copy_ahead *ahead)
{
	if (!STAILQ_EMPTY(&ahead->sent))
		return STAILQ_FIRST(&ahead->sent);
	return ahead->is_answered ? NULL : ahead->current;
}

/* The oldest has come to R and ERROR. */
static void
copy_ahead_settle_oldest(struct copy_ahead *ahead, int r, const struct client_error *error)
{
	struct copy_job *job = copy_ahead_oldest(ahead);

	if (job == ahead->current) {
		ahead->is_answered = true;
		ahead->r = r;
		ahead->error = *error;
		return;
	}
	STAILQ_REMOVE_HEAD(&ahead->sent, entry);
	ahead->sent_count--;
	copy_ahead_settle(ahead, job, r, error);
}

/* The connection is of no more use, by R. Returns R. */
static int
copy_ahead_lose(struct copy_ahead *ahead, int r)
{
	bool is_between = ahead->guest.answers > 0 && (r == -ENODATA || client_is_gone(r));
	struct client_error error = { "" };
	struct copy_job *job;

	if (!is_between) {
		client_explain(&ahead->guest.client, r, &error);
		if (copy_ahead_oldest(ahead) != NULL)
			copy_ahead_settle_oldest(ahead, r, &error);
		else
			copy_complain(ahead->copy, r, &error);
	}
	while ((job = STAILQ_FIRST(&ahead->sent)) != NULL) {
		STAILQ_REMOVE_HEAD(&ahead->sent, entry);
		copy_ahead_put_again(ahead, job);
	}
	ahead->sent_count = 0;
	ahead->is_lost = true;
	guest_ahead_close(&ahead->guest);
	return r;
}

/* Returns 0; -EMSGSIZE if it is not an answer to anything that was sent; or -ENODATA: FILE_ERR
 * to nothing says that a worker was lost behind its last answer. */
static int
copy_ahead_take_answer(struct copy_ahead *ahead, const struct client_piece *piece)
{
	struct copy_job *job = copy_ahead_oldest(ahead);
	uint64_t sent = guest_ahead_sent(&ahead->guest);
	struct file_request request = { 0 };
	struct client_error error = { "" };
	char *path;
	int r;

	if (job == NULL || job->begin >= sent) {
		ahead->guest.answers--;
		return piece->type == VMM_GUEST_FILE_ERR ? -ENODATA : -EMSGSIZE;
	}
	if (piece->type == VMM_GUEST_FILE_ACK) {
		if (job == ahead->current || job->end > sent)
			return -EMSGSIZE;
		copy_ahead_settle_oldest(ahead, 0, &error);
		return 0;
	}
	path = guest_entry_join(job->dir->guest, job->name);
	request.path = path != NULL ? path : job->name;
	r = guest_file_refused_piece(&request, piece, &error);
	free(path);
	copy_ahead_settle_oldest(ahead, r, &error);
	return 0;
}

/* Sends what can be sent, and takes what has come. Returns 0 when all was sent, -EAGAIN, or
 * what copy_ahead_lose() was told. */
static int
copy_ahead_turn(struct copy_ahead *ahead)
{
	struct client_piece piece;
	int sent = guest_ahead_send(&ahead->guest);
	int r;

	if (sent < 0 && sent != -EAGAIN)
		return copy_ahead_lose(ahead, sent);
	r = client_fill(&ahead->guest.client);
	if (r < 0 && r != -EAGAIN)
		return copy_ahead_lose(ahead, r);
	while ((r = guest_ahead_take(&ahead->guest, &piece)) == 0) {
		r = copy_ahead_take_answer(ahead, &piece);
		if (r < 0)
			break;
	}
	return r == -EAGAIN ? sent : copy_ahead_lose(ahead, r);
}

/* Waits until something can be sent or read. */
static int
copy_ahead_wait(struct copy_ahead *ahead)
{
	int r = guest_ahead_wait(&ahead->guest);

	return r < 0 ? copy_ahead_lose(ahead, r) : 0;
}

/* Sends all that was put. Returns 0, or what copy_ahead_lose() was told. */
static int
copy_ahead_flush(struct copy_ahead *ahead)
{
	int r = copy_ahead_turn(ahead);

	while (r == -EAGAIN) {
		r = copy_ahead_wait(ahead);
		if (r == 0)
			r = copy_ahead_turn(ahead);
	}
	return r;
}

/* Waits until no more than COUNT are unanswered. Returns 0, or what copy_ahead_lose() was
 * told: there are none then. */
static int
copy_ahead_await(struct copy_ahead *ahead, unsigned count)
{
	int r = copy_ahead_turn(ahead);

	while ((r == 0 || r == -EAGAIN) && ahead->sent_count > count) {
		r = copy_ahead_wait(ahead);
		if (r == 0)
			r = copy_ahead_turn(ahead);
	}
	return r == -EAGAIN ? 0 : r;
}

/* The source of CURRENT fails in the middle: nothing but the end of the connection keeps
 * the agent from taking what has come for the whole. */
static void
copy_ahead_break(struct copy_ahead *ahead)
{
	if (copy_ahead_await(ahead, 0) == 0)
		guest_ahead_close(&ahead->guest);
	ahead->is_answered = ahead->is_lost = false;
}

/* The next of a source: zeros that were not read, and bytes that were. */
struct copy_ahead_piece {
	uint64_t hole;
	uint8_t *bytes;
	ssize_t len; /* 0: it is the end */
};

/* Reads the next piece of SOURCE to *RET, behind what was put and a frame of IN_FRONT. Returns 0
 * or -errno. */
static int
copy_ahead_read(struct copy_ahead *ahead, const struct guest_file_source *source, size_t in_front,
    struct copy_ahead_piece *ret, struct client_error *error)
{
	uint8_t *place;

	if (source->tells_holes)
		in_front += VMM_GUEST_HEADER_LEN + FILE_HOLE_TEXT_MAX;
	place =
	    guest_ahead_room(&ahead->guest, in_front + VMM_GUEST_HEADER_LEN + VMM_GUEST_DATA_MAX);
	if (place == NULL) {
		client_fail(error, "out of memory");
		return -ENOMEM;
	}
	ret->bytes = place + in_front + VMM_GUEST_HEADER_LEN;
	ret->len = guest_file_read_source(source, ret->bytes, &ret->hole, error);
	return ret->len < 0 ? (int)ret->len : 0;
}

static void
copy_ahead_put_piece(struct copy_ahead *ahead, const struct copy_ahead_piece *piece)
{
	int64_t bytes = (int64_t)piece->hole + piece->len;
	char text[FILE_HOLE_TEXT_MAX];

	if (piece->hole > 0)
		guest_ahead_put(
		    &ahead->guest, VMM_GUEST_FILE_STAT, text, file_hole_format(piece->hole, text));
	if (piece->len > 0)
		guest_ahead_put(
		    &ahead->guest, VMM_GUEST_FILE_DATA, piece->bytes, (size_t)piece->len);
	ahead->current->bytes += bytes;
	progress_add(&ahead->copy->progress, bytes);
}

/* Puts what SOURCE has, of which PIECE is the first. */
static int
copy_ahead_put_data(struct copy_ahead *ahead, const struct guest_file_source *source, uint64_t size,
    struct copy_ahead_piece *piece, struct client_error *error)
{
	const struct copy_job *job = ahead->current;
	int r = 0;

	for (;;) {
		copy_ahead_put_piece(ahead, piece);
		/* Asked for more there was no more than that. */
		if (piece->len == 0 ||
		    (piece->len < VMM_GUEST_DATA_MAX && (uint64_t)job->bytes == size))
			break;
		if (guest_ahead_unsent(&ahead->guest) >= GUEST_AHEAD_SEND &&
		    copy_ahead_flush(ahead) < 0)
			return 0;
		/* Refused: what else it has is not asked for. */
		if (ahead->is_answered)
			break;
		r = copy_ahead_read(ahead, source, 0, piece, error);
		if (r < 0)
			break;
	}
	if (r < 0) {
		copy_ahead_break(ahead);
		return r;
	}
	if (guest_ahead_room(&ahead->guest, VMM_GUEST_HEADER_LEN) == NULL)
		return copy_ahead_lose(ahead, -ENOMEM);
	guest_ahead_put(&ahead->guest, VMM_GUEST_FILE_DONE, NULL, 0);
	return 0;
}

int
copy_ahead_write(struct copy_ahead *ahead, const struct file_request *request,
    const struct guest_file_source *source, uint64_t size, struct client_error *error)
{
	struct file_request more = *request;
	struct copy_ahead_piece piece;
	size_t len;
	char *json;
	int r;

	more.more = true;
	r = guest_file_format(VMM_GUEST_FILE_WRITE_REQ, &more, &json, &len, error);
	if (r < 0)
		return r;
	/* Before anything is put: what can't be read is not asked for. */
	r = copy_ahead_read(ahead, source, VMM_GUEST_HEADER_LEN + len, &piece, error);
	if (r == 0)
		guest_ahead_put(&ahead->guest, VMM_GUEST_FILE_WRITE_REQ, json, len);
	free(json);
	return r < 0 ? r : copy_ahead_put_data(ahead, source, size, &piece, error);
}

int
copy_ahead_put(struct copy_ahead *ahead, uint8_t type, const struct file_request *request,
    struct client_error *error)
{
	struct file_request more = *request;
	size_t len;
	char *json;
	int r;

	more.more = true;
	r = guest_file_format(type, &more, &json, &len, error);
	if (r < 0)
		return r;
	if (guest_ahead_room(&ahead->guest, VMM_GUEST_HEADER_LEN + len) != NULL) {
		guest_ahead_put(&ahead->guest, type, json, len);
	} else {
		r = -ENOMEM;
		client_fail(error, "out of memory");
	}
	free(json);
	return r;
}

static void
copy_ahead_run(struct copy_ahead *ahead, struct copy_job *job)
{
	struct client_error error = { "" };
	int r = guest_ahead_open(&ahead->guest, target_agent(), &error);

	ahead->current = job;
	ahead->is_answered = ahead->is_lost = false;
	job->ahead = ahead;
	job->begin = ahead->guest.put;
	if (r == 0)
		r = job->run(ahead->copy, job, &error);
	job->end = ahead->guest.put;
	ahead->current = NULL;
	if (ahead->is_answered) {
		copy_ahead_settle(ahead, job, ahead->r, &ahead->error);
		/* Its DONE, up to which the agent drops what comes. */
		if (!ahead->is_lost)
			(void)copy_ahead_flush(ahead);
	} else if (ahead->is_lost) {
		copy_ahead_put_again(ahead, job);
	} else if (r < 0) {
		copy_ahead_settle(ahead, job, r, &error);
	} else {
		STAILQ_INSERT_TAIL(&ahead->sent, job, entry);
		ahead->sent_count++;
		if (guest_ahead_unsent(&ahead->guest) >= GUEST_AHEAD_SEND)
			(void)copy_ahead_flush(ahead);
	}
}

/* The agent has no worker to spare: all that is under way is answered first. */
static void
copy_ahead_pause(struct copy_ahead *ahead)
{
	int r = -EBUSY;

	if (ahead->sent_count > 0)
		(void)copy_ahead_await(ahead, 0);
	ahead->is_busy = false;
	ahead->is_late = !copy_try_again(&ahead->patience, &r);
}

static unsigned
copy_ahead_limit(const struct copy_ahead *ahead)
{
	if (ahead->guest.answers >= COPY_AHEAD_MAX / 2)
		return COPY_AHEAD_MAX;
	return 1 + 2 * (unsigned)ahead->guest.answers;
}

/* The next job that is to be put. NULL: all is done, and no more will come. */
static struct copy_job *
copy_ahead_next(struct copy_ahead *ahead)
{
	struct copy_job *job;

	for (;;) {
		unsigned limit = copy_ahead_limit(ahead);

		if (ahead->is_busy)
			copy_ahead_pause(ahead);
		else if (ahead->sent_count >= limit)
			(void)copy_ahead_await(ahead, limit * 3 / 4);
		job = STAILQ_FIRST(&ahead->again);
		if (job != NULL) {
			STAILQ_REMOVE_HEAD(&ahead->again, entry);
			return job;
		}
		job = copy_take(ahead->copy, ahead->sent_count == 0);
		if (job != NULL || ahead->sent_count == 0)
			return job;
		(void)copy_ahead_await(ahead, ahead->sent_count - 1);
	}
}

void *
copy_ahead_thread(void *argument)
{
	struct copy_ahead ahead = { .copy = argument, .guest = GUEST_AHEAD_INIT };
	struct copy_job *job;

	STAILQ_INIT(&ahead.sent);
	STAILQ_INIT(&ahead.again);
	while ((job = copy_ahead_next(&ahead)) != NULL)
		copy_ahead_run(&ahead, job);
	guest_ahead_done(&ahead.guest);
	return NULL;
}

int
copy_ahead_ask(
    struct copy *copy, uint8_t type, const struct file_request *request, struct client_error *error)
{
	struct file_request more = *request;
	int r;

	more.more = true;
	(void)pthread_mutex_lock(&copy->asks_lock);
	r = guest_ahead_ask(&copy->asks, target_agent(), type, &more, error);
	(void)pthread_mutex_unlock(&copy->asks_lock);
	return r;
}
