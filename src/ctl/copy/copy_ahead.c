/*
 * copy_ahead: what is under way on a connection, its answers, and what is begun again.
 *
 * A connection that ends between two requests means that none of those which were not
 * answered was begun: they are begun again, on another. Only where nothing at all was
 * answered on it has the oldest failed, so that each connection brings something to an end.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/copy/copy_ahead.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/core/guest_entry.h"
#include "ctl/core/guest_file.h"
#include "ctl/target.h"

/* Requests that may be unanswered on a connection: one at first, and two more with each
 * answer, so that little is sent twice to an agent that closes soon; at most this. */
#define COPY_AHEAD_MAX 512

/* So much is worth a send(2). */
#define COPY_AHEAD_SEND (64 * 1024)

struct copy_ahead {
	struct copy *copy;
	struct copy_jobs sent; /* and given to the handle whole, in the order of their answers */
	unsigned sent_count;
	struct copy_jobs again;	  /* come before others */
	struct copy_job *current; /* is being given to it, behind SENT */
	bool is_begun;		  /* CURRENT's request is */
	bool is_answered;	  /* CURRENT is, with this: */
	int r;
	struct client_error error;
	bool is_lost;	  /* CURRENT's connection is */
	bool is_broken;	  /* the connection is, and that was told of its oldest request */
	bool is_busy;	  /* the agent had no worker to spare: time for a pause */
	bool is_late;	  /* for too long */
	unsigned answers; /* that came on the connection */
	struct copy_patience patience;
	struct guest guest;
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

/* The oldest request of which nothing was heard, out of SENT or being given. */
static struct copy_job *
copy_ahead_oldest(const struct copy_ahead *ahead)
{
	if (!STAILQ_EMPTY(&ahead->sent))
		return STAILQ_FIRST(&ahead->sent);
	return ahead->is_begun && !ahead->is_answered ? ahead->current : NULL;
}

static void
copy_ahead_remove_oldest(struct copy_ahead *ahead)
{
	STAILQ_REMOVE_HEAD(&ahead->sent, entry);
	ahead->sent_count--;
}

/* The oldest, JOB, has come to R and ERROR. */
static void
copy_ahead_settle_oldest(
    struct copy_ahead *ahead, struct copy_job *job, int r, const struct client_error *error)
{
	if (job == ahead->current) {
		ahead->is_answered = true;
		ahead->r = r;
		ahead->error = *error;
		return;
	}
	copy_ahead_remove_oldest(ahead);
	copy_ahead_settle(ahead, job, r, error);
}

/* The oldest, JOB, was not begun, or nobody can know that it was. */
static void
copy_ahead_return_oldest(struct copy_ahead *ahead, struct copy_job *job)
{
	if (job == ahead->current) {
		ahead->is_lost = true;
		ahead->is_begun = false;
		return;
	}
	copy_ahead_remove_oldest(ahead);
	copy_ahead_put_again(ahead, job);
}

/* The oldest has ended. */
static void
copy_ahead_end(struct copy_ahead *ahead)
{
	struct copy_job *job = copy_ahead_oldest(ahead);
	int r = vmm_guest_result(ahead->guest.handle);
	bool is_answer = r >= 0 || vmm_guest_refusal(ahead->guest.handle) != NULL;
	struct file_request request = { 0 };
	struct client_error error = { "" };
	char *path = NULL;

	if (job == NULL)
		return;
	ahead->answers = is_answer ? ahead->answers + 1 : 0;
	if (!is_answer && (r == -ECONNABORTED || ahead->is_broken)) {
		copy_ahead_return_oldest(ahead, job);
		return;
	}
	ahead->is_broken = !is_answer;
	if (r < 0) {
		path = guest_entry_join(job->dir->guest, job->name);
		request.path = path != NULL ? path : job->name;
		r = guest_file_end(&ahead->guest, &request, &error);
	}
	free(path);
	copy_ahead_settle_oldest(ahead, job, r, &error);
}

/* Takes what has come. */
static void
copy_ahead_take(struct copy_ahead *ahead)
{
	enum vmm_guest_event event;
	const void *data;
	size_t len;

	while ((event = guest_next(&ahead->guest, &data, &len)) != VMM_GUEST_EVENT_NONE) {
		if (event == VMM_GUEST_EVENT_END)
			copy_ahead_end(ahead);
	}
}

static size_t
copy_ahead_unsent(struct copy_ahead *ahead)
{
	const void *data;

	return vmm_guest_pending(ahead->guest.handle, &data);
}

/* Sends what can be sent, and takes what has come. */
static void
copy_ahead_turn(struct copy_ahead *ahead)
{
	vmm_guest_step(ahead->guest.handle);
	copy_ahead_take(ahead);
}

/* The wait has failed: nothing else will come of the connection. */
static int
copy_ahead_lose(struct copy_ahead *ahead, int r)
{
	struct client_error error = { "" };
	struct copy_job *job = copy_ahead_oldest(ahead);

	guest_explain(&ahead->guest, r, &error);
	if (job != NULL)
		copy_ahead_settle_oldest(ahead, job, r, &error);
	else
		copy_complain(ahead->copy, r, &error);
	vmm_guest_abort(ahead->guest.handle);
	while (!STAILQ_EMPTY(&ahead->sent))
		copy_ahead_return_oldest(ahead, STAILQ_FIRST(&ahead->sent));
	ahead->is_lost = true;
	ahead->answers = 0;
	return r;
}

/* Waits until there is something for a turn, which it then makes. Returns 0 or -errno. */
static int
copy_ahead_wait(struct copy_ahead *ahead)
{
	int r = guest_poll(&ahead->guest, -1);

	if (r < 0)
		return copy_ahead_lose(ahead, r);
	copy_ahead_turn(ahead);
	return 0;
}

/* Sends all that was given to the handle. Returns 0 or -errno. */
static int
copy_ahead_flush(struct copy_ahead *ahead)
{
	int r = 0;

	copy_ahead_turn(ahead);
	while (r == 0 && copy_ahead_unsent(ahead) > 0)
		r = copy_ahead_wait(ahead);
	return r;
}

/* Waits until no more than COUNT are unanswered. Returns 0 or -errno: there are none then. */
static int
copy_ahead_await(struct copy_ahead *ahead, unsigned count)
{
	int r = 0;

	copy_ahead_turn(ahead);
	while (r == 0 && ahead->sent_count > count)
		r = copy_ahead_wait(ahead);
	return r;
}

/* The source of CURRENT fails in the middle: nothing but the end of the connection keeps
 * the agent from taking what has come for the whole. */
static void
copy_ahead_break(struct copy_ahead *ahead)
{
	if (copy_ahead_await(ahead, 0) == 0)
		vmm_guest_abort(ahead->guest.handle);
	ahead->is_answered = ahead->is_lost = false;
	ahead->answers = 0;
}

int
copy_ahead_put(struct copy_ahead *ahead, uint8_t type, const struct file_request *request,
    struct client_error *error)
{
	struct file_request more = *request;
	int r = 0;

	more.more = true;
	if (ahead->guest.handle == NULL)
		r = guest_open(&ahead->guest, target_agent(), error);
	while (r == 0 && (r = guest_file_begin(&ahead->guest, type, &more, error)) == -EAGAIN)
		r = copy_ahead_wait(ahead);
	if (r < 0)
		return r;
	/* Another connection is made. */
	if (vmm_guest_reached(ahead->guest.handle) < VMM_GUEST_REACHED_AGENT)
		ahead->answers = 0;
	ahead->is_broken = ahead->is_lost = false;
	ahead->is_begun = true;
	return 0;
}

static bool
copy_ahead_is_over(const struct copy_ahead *ahead)
{
	return ahead->is_answered || ahead->is_lost;
}

/* Waits until there is room for CURRENT's bytes, or it is over. */
static int
copy_ahead_wait_for_room(struct copy_ahead *ahead, bool is_deaf)
{
	int r = 0;

	copy_ahead_turn(ahead);
	while (r == 0 && !copy_ahead_is_over(ahead) &&
	       (is_deaf || vmm_guest_room(ahead->guest.handle) == 0))
		r = copy_ahead_wait(ahead);
	return r;
}

/* Gives the handle what SOURCE has, of SIZE bytes if nobody writes to it. Returns 0, also where
 * CURRENT is over or lost; or -errno. */
static int
copy_ahead_put_data(struct copy_ahead *ahead, const struct guest_file_source *source, uint64_t size)
{
	struct vmm_guest *handle = ahead->guest.handle;
	struct copy_job *job = ahead->current;
	int64_t n = 1;

	while (n > 0 && !copy_ahead_is_over(ahead)) {
		if (copy_ahead_unsent(ahead) >= COPY_AHEAD_SEND && copy_ahead_flush(ahead) < 0)
			return 0;
		n = vmm_guest_write_fd(handle, source->fd, source->tells_holes);
		/* There is no connection yet; or it is over, which is still to be told. */
		if (n == -EAGAIN || n == -EPIPE) {
			if (copy_ahead_wait_for_room(ahead, n == -EPIPE) < 0)
				return 0;
			n = 1;
			continue;
		}
		if (n < 0)
			return (int)n;
		job->bytes += n;
		progress_add(&ahead->copy->progress, n);
		/* Asked for more there was no more than that. */
		if (n < VMM_GUEST_DATA_MAX && (uint64_t)job->bytes == size)
			break;
	}
	if (!copy_ahead_is_over(ahead))
		(void)vmm_guest_eof(handle);
	return 0;
}

int
copy_ahead_write(struct copy_ahead *ahead, const struct file_request *request,
    const struct guest_file_source *source, uint64_t size, struct client_error *error)
{
	int r = copy_ahead_put(ahead, VMM_GUEST_FILE_WRITE_REQ, request, error);

	if (r < 0)
		return r;
	r = copy_ahead_put_data(ahead, source, size);
	if (r < 0) {
		client_fail(error, "can't read %s: %s", source->name, strerror(-r));
		copy_ahead_break(ahead);
	}
	return r;
}

static void
copy_ahead_run(struct copy_ahead *ahead, struct copy_job *job)
{
	struct client_error error = { "" };
	int r;

	ahead->current = job;
	ahead->is_begun = ahead->is_answered = ahead->is_lost = false;
	job->ahead = ahead;
	r = job->run(ahead->copy, job, &error);
	ahead->current = NULL;
	if (ahead->is_answered) {
		copy_ahead_settle(ahead, job, ahead->r, &ahead->error);
		/* Its DONE, up to which the agent drops what comes. */
		(void)copy_ahead_flush(ahead);
	} else if (ahead->is_lost) {
		copy_ahead_put_again(ahead, job);
	} else if (r < 0) {
		copy_ahead_settle(ahead, job, r, &error);
	} else {
		STAILQ_INSERT_TAIL(&ahead->sent, job, entry);
		ahead->sent_count++;
		if (copy_ahead_unsent(ahead) >= COPY_AHEAD_SEND)
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
	if (ahead->answers >= COPY_AHEAD_MAX / 2)
		return COPY_AHEAD_MAX;
	return 1 + 2 * ahead->answers;
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
	struct copy_ahead ahead = { .copy = argument };
	struct copy_job *job;

	STAILQ_INIT(&ahead.sent);
	STAILQ_INIT(&ahead.again);
	while ((job = copy_ahead_next(&ahead)) != NULL)
		copy_ahead_run(&ahead, job);
	guest_close(&ahead.guest);
	return NULL;
}

int
copy_ahead_ask(
    struct copy *copy, uint8_t type, const struct file_request *request, struct client_error *error)
{
	struct file_request more = *request;
	int r = 0;

	more.more = true;
	(void)pthread_mutex_lock(&copy->asks_lock);
	if (copy->asks.handle == NULL)
		r = guest_open(&copy->asks, target_agent(), error);
	if (r == 0)
		r = guest_file_ask_on(&copy->asks, type, &more, error);
	(void)pthread_mutex_unlock(&copy->asks_lock);
	return r;
}
