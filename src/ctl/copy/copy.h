/*
 * copy: what both directions of "vmm-guest-ctl cp" have in common: the settings of
 * one run, its threads and the files that wait for one, directories that are under
 * way, and complaints.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_COPY_H
#define CTL_COPY_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/queue.h>
#include <sys/stat.h>

#include "ctl/copy/copy_out_links.h"
#include "ctl/core/client.h"
#include "ctl/core/guest.h"
#include "ctl/core/guest_features.h"
#include "ctl/progress.h"
#include "platform/backoff.h"

/* Connections at once. The agent holds a worker for each; where it has none
 * to spare it says so, and the file is tried again. */
#define COPY_THREADS 8

/* Of an agent that takes several requests on one: as many keep two of its workers busy, and
 * the threads that serve them. */
#define COPY_THREADS_AHEAD 2

/* Files that may wait for a thread. */
#define COPY_QUEUE_MAX 512

struct copy;
struct copy_ahead;

/* A directory whose files are being copied. It is finished when nothing in it is
 * under way any more, after those within it. */
struct copy_dir {
	struct copy_dir *parent;
	_Atomic unsigned references;
	int fd;	       /* on this machine */
	char *here;    /* its path, for messages */
	char *guest;   /* its path there */
	bool is_new;   /* at the target: it holds nothing that we did not put there */
	bool is_local; /* as atomic_file.h has it; so: */
	bool keeps_modes;
	mode_t mode; /* of the source */
	struct timespec mtime;
	void (*finish)(struct copy *copy, struct copy_dir *dir);
};

struct copy_job;
struct copy_link;

typedef int copy_run_fn(struct copy *copy, const struct copy_job *job, struct client_error *error);

/* A file that waits. */
struct copy_job {
	STAILQ_ENTRY(copy_job) entry;
	struct copy_dir *dir;
	char *name;
	mode_t mode; /* of the source */
	struct timespec mtime;
	bool is_new; /* at the target */
	/* Of copy_ahead.h; NULL: it is asked for on a connection of its own. */
	struct copy_ahead *ahead;
	int64_t bytes; /* that count as copied so far */
	copy_run_fn *run;
	copy_run_fn *otherwise; /* what is done where the file system can't; NULL: it fails */
	struct copy_link *link; /* of copy_in_links.h: what it is a name of; NULL: no matter */
	bool is_first;		/* of these names */
};

STAILQ_HEAD(copy_jobs, copy_job);

/* What the agent can do and takes: copy_agent.h. */
struct copy_agent {
	bool is_known;	   /* it was asked; else it counts as one that does not tell */
	unsigned features; /* of enum copy_feature */
	struct guest_limits limits;
};

struct copy {
	bool recursive;
	bool preserve;
	bool quiet;
	bool verbose; /* each file is told of, on NAMES */
	bool to_guest;
	bool keeps_links; /* also those that were named, and files with several names stay one */
	bool sets_times;  /* the agent can; with PRESERVE alone */
	bool asks_ahead;  /* the agent takes several requests on a connection */
	const char *user; /* "": the agent's own rights */
	int sources;	  /* how many were given */
	mode_t umask;
	struct copy_agent agent;

	uint64_t max_size;    /* bytes that may come out of a guest, */
	uint64_t max_entries; /* and entries of its directories */

	_Atomic bool failed;
	_Atomic uint64_t size; /* what has come of these so far */
	uint64_t entries;
	FILE *names;
	struct progress progress;
	size_t pending_size; /* of copy_pending.h, all levels together */
	void *links;	     /* of copy_in_links.h */
	struct copy_out_links named;

	struct guest asks; /* for requests that are waited for; see copy_ahead_ask() */
	pthread_mutex_t asks_lock;

	pthread_t threads[COPY_THREADS];
	int threads_count;
	pthread_mutex_t lock; /* of all below */
	pthread_cond_t changed;
	struct copy_jobs jobs;
	unsigned jobs_count;
	bool is_closed; /* no more jobs will come */
};

void copy_init(struct copy *copy);

/* Says what went wrong, and that the whole has failed; nothing for -ECANCELED. */
void copy_complain(struct copy *copy, int r, const struct client_error *error);

/* What goes between DIRECTORY and a name in it, where that is said. */
const char *copy_slash(const char *directory);

/* copy_complain() of NAME in DIR, for -errno R. */
void copy_complain_of(struct copy *copy, const struct copy_dir *dir, const char *name, int r);

/* Says that HERE and GUEST are the same now, if that is wanted; the second of NAME in DIR. */
void copy_tell(const struct copy *copy, const char *here, const char *guest);
void copy_tell_of(const struct copy *copy, const struct copy_dir *dir, const char *name);

/* Puts a file of DIR in line; starts threads as they are needed. One that is a name of a file, and
 * not the first, waits for that. Everything is copied or referenced. Returns 0, -ENOMEM, or
 * -ECANCELED. */
int copy_put(struct copy *copy, struct copy_dir *dir, const struct copy_job *job);

/* Takes the next one out of the line, for copy_settle(). NULL: there is none, and where
 * WAITS is true no more will come. */
struct copy_job *copy_take(struct copy *copy, bool waits);

/* It is done, with R and ERROR: says so, and frees it. */
void copy_settle(struct copy *copy, struct copy_job *job, int r, const struct client_error *error);

/* Whether -errno R says that no such thing can be there, as a name in two file systems, or in one
 * that has no links. */
bool copy_is_impossible(int r);

/* Waits until all that was put in line is done. */
void copy_finish(struct copy *copy);

/* A new directory, which owns FD from here on, and is held once: NAME within PARENT.
 * Returns 0 with *RET, or with FD closed -ENAMETOOLONG where the guest has no longer
 * paths, which ends the deepest tree, or -ENOMEM. */
int copy_dir_new(struct copy_dir *parent, int fd, const char *name, struct copy_dir **ret);

/* One with no parent. HERE and GUEST are copied. NULL with FD closed: no memory. */
struct copy_dir *copy_dir_new_top(int fd, const char *here, const char *guest);

/* Lets go of it; the last one finishes it. */
void copy_dir_release(struct copy *copy, struct copy_dir *dir);

/* How long it pays to try again where the agent had no worker to spare (-EBUSY):
 *
 *	struct copy_patience patience = { 0 };
 *	do
 *		r = ...;
 *	while (copy_try_again(&patience, &r));
 *
 * Zero-initialised it is ready for use. It sleeps, for longer each time; when a
 * caught signal comes in, *R becomes -ECANCELED. */
struct copy_patience {
	uint64_t deadline_ms;
	struct backoff pause;
};
bool copy_try_again(struct copy_patience *patience, int *r);

/* The permissions for a new file or directory on the other side: the source's,
 * without -p less this machine's umask and the set-id and sticky bits. */
mode_t copy_mode(const struct copy *copy, mode_t mode);

/* SOURCE into the guest, or out of it. IN: a path of this machine, or "-" for
 * standard input; OUT: a path of the guest. TARGET is on the other side: the very
 * name that is to be; "-" for standard output. IS_NAMED: the user said that name, and
 * means what it leads to; else a directory that it is in. Complains itself. */
void copy_in(struct copy *copy, const char *source, const char *target);
void copy_out(struct copy *copy, const char *source, const char *target, bool is_named);

/* The descriptor that TARGET names, which is "-", /dev/stdout and the like: what is written there
 * goes where that leads, as it is. -1: it names a file. */
int copy_out_stream(const char *target);

#endif
