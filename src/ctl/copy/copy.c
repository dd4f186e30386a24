/*
 * copy: the threads of a copy, and its directories.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/copy/copy.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/command.h"
#include "ctl/copy/copy_ahead.h"
#include "ctl/copy/copy_in_links.h"
#include "ctl/copy/copy_pending.h"
#include "ctl/core/guest_entry.h"
#include "ctl/signals.h"
#include "platform/clock.h"
#include "platform/fd.h"

/* Where the agent has no worker to spare: other clients have them, or those of the
 * files before are still closing. */
#define COPY_BUSY_PAUSE_FIRST_MS 5
#define COPY_BUSY_PAUSE_MAX_MS 250
#define COPY_BUSY_MS 30000

/* How many files are put in line before a look whether a signal has come. */
#define COPY_SIGNALS_EVERY 64

void
copy_init(struct copy *copy)
{
	*copy = (struct copy){
		.user = "",
		.names = stdout,
		.max_size = UINT64_MAX,
		.max_entries = UINT64_MAX,
		.asks_lock = PTHREAD_MUTEX_INITIALIZER,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.changed = PTHREAD_COND_INITIALIZER,
	};
	copy->umask = umask(0);
	(void)umask(copy->umask);
	STAILQ_INIT(&copy->jobs);
}

void
copy_complain(struct copy *copy, int r, const struct client_error *error)
{
	copy->failed = true;
	if (r != -ECANCELED)
		progress_complain(&copy->progress, error->text);
}

const char *
copy_slash(const char *directory)
{
	size_t len = strlen(directory);

	return len > 0 && directory[len - 1] == '/' ? "" : "/";
}

void
copy_complain_of(struct copy *copy, const struct copy_dir *dir, const char *name, int r)
{
	struct client_error error;

	client_fail(
	    &error, "%s%s%s: %s", dir->here, copy_slash(dir->here), name, copy_pending_explain(r));
	copy_complain(copy, r, &error);
}

void
copy_tell(const struct copy *copy, const char *here, const char *guest)
{
	const char *from = copy->to_guest ? here : guest;
	const char *to = copy->to_guest ? guest : here;
	char *printable;
	char *text;

	if (!copy->verbose ||
	    asprintf(&text, "%s%s -> %s%s", copy->to_guest ? "" : GUEST_ENTRY_MARK, from,
		copy->to_guest ? GUEST_ENTRY_MARK : "", to) < 0)
		return;
	printable = malloc(strlen(text) + 1);
	if (printable != NULL) {
		command_make_printable(text, printable, (unsigned)strlen(text) + 1);
		(void)fprintf(copy->names, "%s\n", printable);
	}
	free(printable);
	free(text);
}

void
copy_tell_of(const struct copy *copy, const struct copy_dir *dir, const char *name)
{
	char *here = copy->verbose ? guest_entry_join(dir->here, name) : NULL;
	char *guest = copy->verbose ? guest_entry_join(dir->guest, name) : NULL;

	if (here != NULL && guest != NULL)
		copy_tell(copy, here, guest);
	free(here);
	free(guest);
}

mode_t
copy_mode(const struct copy *copy, mode_t mode)
{
	mode &= S_ISUID | S_ISGID | S_ISVTX | S_IRWXU | S_IRWXG | S_IRWXO;
	if (!copy->preserve)
		mode &= (S_IRWXU | S_IRWXG | S_IRWXO) & ~copy->umask;
	return mode;
}

/* Sleeps for MS; a caught signal ends it with -ECANCELED. */
static int
copy_sleep(int ms)
{
	struct pollfd wait = { .fd = signals_fd(), .events = POLLIN };

	return poll(&wait, 1, ms) > 0 ? -ECANCELED : 0;
}

bool
copy_try_again(struct copy_patience *patience, int *r)
{
	uint64_t now = clock_mono_ms();

	if (*r != -EBUSY)
		return false;
	if (patience->deadline_ms == 0)
		patience->deadline_ms = now + COPY_BUSY_MS;
	if (now >= patience->deadline_ms)
		return false;
	if (copy_sleep((int)backoff_next_ms(
		&patience->pause, COPY_BUSY_PAUSE_FIRST_MS, COPY_BUSY_PAUSE_MAX_MS)) < 0) {
		*r = -ECANCELED;
		return false;
	}
	return true;
}

static void
copy_free_job(struct copy *copy, struct copy_job *job)
{
	copy_dir_release(copy, job->dir);
	free(job->name);
	free(job);
}

struct copy_job *
copy_take(struct copy *copy, bool waits)
{
	struct copy_job *job;

	(void)pthread_mutex_lock(&copy->lock);
	while (waits && STAILQ_EMPTY(&copy->jobs) && !copy->is_closed)
		(void)pthread_cond_wait(&copy->changed, &copy->lock);
	job = STAILQ_FIRST(&copy->jobs);
	if (job != NULL) {
		STAILQ_REMOVE_HEAD(&copy->jobs, entry);
		/* Who waits for room gets some at a time, not a switch of threads a file. */
		if (--copy->jobs_count == COPY_QUEUE_MAX / 2)
			(void)pthread_cond_broadcast(&copy->changed);
	}
	(void)pthread_mutex_unlock(&copy->lock);
	return job;
}

bool
copy_is_impossible(int r)
{
	return r == -EXDEV || r == -EPERM || r == -EMLINK || r == -EOPNOTSUPP;
}

/* Puts JOB in line once more, to be done in the other way. */
static void
copy_put_otherwise(struct copy *copy, struct copy_job *job)
{
	job->run = job->otherwise;
	job->otherwise = NULL;
	(void)pthread_mutex_lock(&copy->lock);
	STAILQ_INSERT_TAIL(&copy->jobs, job, entry);
	copy->jobs_count++;
	(void)pthread_mutex_unlock(&copy->lock);
}

void
copy_settle(struct copy *copy, struct copy_job *job, int r, const struct client_error *error)
{
	/* Who calls looks at the line again. */
	if (job->otherwise != NULL && copy_is_impossible(r)) {
		copy_put_otherwise(copy, job);
		return;
	}
	if (job->is_first)
		copy_link_settle(copy, job->link, r);
	if (r < 0)
		copy_complain(copy, r, error);
	else
		copy->progress.files++;
	if (r == 0)
		copy_tell_of(copy, job->dir, job->name);
	progress_add(&copy->progress, 0);
	copy_free_job(copy, job);
}

static void *
copy_thread(void *argument)
{
	struct copy *copy = argument;
	struct copy_job *job;

	while ((job = copy_take(copy, true)) != NULL) {
		struct copy_patience patience = { 0 };
		struct client_error error = { "" };
		int r;

		do
			r = job->run(copy, job, &error);
		while (copy_try_again(&patience, &r));
		copy_settle(copy, job, r, &error);
	}
	return NULL;
}

/* Called with the lock held. No thread at all leaves the queue to nobody. */
static int
copy_start_thread(struct copy *copy)
{
	if (copy->threads_count == (copy->asks_ahead ? COPY_THREADS_AHEAD : COPY_THREADS))
		return 0;
	if (pthread_create(&copy->threads[copy->threads_count], NULL,
		copy->asks_ahead ? copy_ahead_thread : copy_thread, copy) == 0)
		copy->threads_count++;
	return copy->threads_count > 0 ? 0 : -ENOMEM;
}

/* Called with the lock held. */
static bool
copy_waits_for_first(struct copy_job *job)
{
	if (job->link == NULL || job->is_first)
		return false;
	if (job->link->state == COPY_LINK_LOST)
		job->run = job->otherwise;
	return job->link->state == COPY_LINK_UNDER_WAY;
}

int
copy_put(struct copy *copy, struct copy_dir *dir, const struct copy_job *job)
{
	struct copy_job *queued = malloc(sizeof(*queued));
	int r = 0;

	if (queued == NULL) {
		if (job->is_first)
			copy_link_settle(copy, job->link, -ENOMEM);
		return -ENOMEM;
	}
	*queued = *job;
	queued->name = strdup(job->name);
	queued->dir = dir;
	dir->references++;
	copy->progress.files_total++;
	(void)pthread_mutex_lock(&copy->lock);
	if (copy->jobs_count + 1 > (unsigned)copy->threads_count)
		r = copy_start_thread(copy);
	if (r == 0 && copy->jobs_count >= COPY_QUEUE_MAX) {
		while (copy->jobs_count > COPY_QUEUE_MAX / 2)
			(void)pthread_cond_wait(&copy->changed, &copy->lock);
	}
	if (r == 0 && queued->name != NULL && copy_waits_for_first(queued)) {
		STAILQ_INSERT_TAIL(&queued->link->waiting, queued, entry);
		queued = NULL;
	} else if (r == 0 && queued->name != NULL) {
		STAILQ_INSERT_TAIL(&copy->jobs, queued, entry);
		/* Nobody waits for one but where there was none. */
		if (copy->jobs_count++ == 0)
			(void)pthread_cond_broadcast(&copy->changed);
		queued = NULL;
	}
	(void)pthread_mutex_unlock(&copy->lock);
	if (queued != NULL) {
		if (queued->is_first)
			copy_link_settle(copy, queued->link, -ENOMEM);
		copy_free_job(copy, queued);
		return -ENOMEM;
	}
	/* Not each time: a signal is as good as at once all the same. */
	return copy->progress.files_total % COPY_SIGNALS_EVERY == 0 ? copy_sleep(0) : 0;
}

void
copy_finish(struct copy *copy)
{
	copy->progress.total_is_known = true;
	(void)pthread_mutex_lock(&copy->lock);
	copy->is_closed = true;
	(void)pthread_cond_broadcast(&copy->changed);
	(void)pthread_mutex_unlock(&copy->lock);
	for (int i = 0; i < copy->threads_count; i++)
		(void)pthread_join(copy->threads[i], NULL);
	copy->threads_count = 0;
	guest_close(&copy->asks);
	copy_links_done(copy);
	copy_out_links_done(&copy->named);
}

/* Takes over FD, HERE and GUEST. */
static struct copy_dir *
copy_dir_make(struct copy_dir *parent, int fd, char *here, char *guest)
{
	struct copy_dir *dir = here != NULL && guest != NULL ? calloc(1, sizeof(*dir)) : NULL;

	if (dir == NULL) {
		fd_close(&fd);
		free(here);
		free(guest);
		return NULL;
	}
	*dir = (struct copy_dir){
		.parent = parent, .references = 1, .fd = fd, .here = here, .guest = guest
	};
	if (parent != NULL)
		parent->references++;
	return dir;
}

int
copy_dir_new(struct copy_dir *parent, int fd, const char *name, struct copy_dir **ret)
{
	struct copy_dir *dir;

	if (strlen(parent->guest) + 1 + strlen(name) >= PATH_MAX) {
		fd_close(&fd);
		return -ENAMETOOLONG;
	}
	dir = copy_dir_make(parent, fd, guest_entry_join(parent->here, name),
	    guest_entry_join(parent->guest, name));
	if (dir == NULL)
		return -ENOMEM;
	*ret = dir;
	return 0;
}

struct copy_dir *
copy_dir_new_top(int fd, const char *here, const char *guest)
{
	return copy_dir_make(NULL, fd, strdup(here), strdup(guest));
}

void
copy_dir_release(struct copy *copy, struct copy_dir *dir)
{
	while (dir != NULL && atomic_fetch_sub(&dir->references, 1) == 1) {
		struct copy_dir *parent = dir->parent;

		if (dir->finish != NULL)
			dir->finish(copy, dir);
		fd_close(&dir->fd);
		free(dir->here);
		free(dir->guest);
		free(dir);
		dir = parent;
	}
}
