/*
 * switch: the dead man's switch: the one process that freezes, holds the time, and thaws. It
 * is a child of the supervisor, which never makes these calls itself: they take as long as a
 * disk does.
 *
 * It lives for one QUIESCE. What it leaves in the ledger when it is killed the next one thaws,
 * which is forked for that alone.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SUPERVISOR_SWITCH_H
#define SUPERVISOR_SWITCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "platform/fd_keep.h"
#include "shared/quiesce.h"
#include "supervisor/switch_ledger.h"

/* Its exit status: one of these and the reason, or that it could not be done and was undone.
 * Any other status, and a signal, is a death. */
#define SWITCH_EXIT_THAWED 64 /* plus enum quiesce_thaw_why */
#define SWITCH_EXIT_FAILED 96

/* A file system that is opened, in the order in which they are to be frozen. */
struct switch_file {
	int fd;
	bool is_wanted;	  /* it is to be frozen, and not only synced */
	bool is_required; /* it was named: that it can't be frozen is an error */
	char path[QUIESCE_PATH_MAX];
	char type[QUIESCE_TYPE_MAX];
};

struct switch_files {
	uint32_t count;
	struct switch_file list[FD_KEEP_MAX];
};

/* What the switch does to the kernel, and how it is told of the workers. Each returns 0 or
 * -errno, if nothing else is said; those that wait return -ETIMEDOUT at DEADLINE_MS
 * (CLOCK_MONOTONIC), and -EINTR when WAKE_FD can be read from. */
struct freezer {
	void *context;
	/* Waits until all workers stand still. May say in WORDS which one does not. */
	int (*await_rest)(
	    void *context, int wake_fd, uint64_t deadline_ms, char words[QUIESCE_ERROR_MAX]);
	/* -ENOTSUP: there is no cgroup for that. */
	int (*freeze_sessions)(void *context, bool is_frozen);
	int (*await_sessions)(void *context, int wake_fd, uint64_t deadline_ms);
	/* Opens the file systems, and puts into REPORT what is skipped. May fill in WORDS. */
	int (*open_files)(void *context, const struct quiesce_order *order,
	    struct quiesce_report *report, struct switch_files *ret, char words[QUIESCE_ERROR_MAX]);
	int (*sync_files)(void *context, int fd);
	int (*freeze_files)(void *context, int fd);
	int (*thaw_files)(void *context, int fd);
	/* Wakes the worker that has asked. */
	void (*wake_holder)(void *context);
	/* Waits before a thaw that failed is tried again. */
	void (*pause)(void *context, uint32_t ms);
};

struct switch_options {
	struct quiesce *quiesce;	   /* of the scoreboard */
	const struct quiesce_order *order; /* a copy that no worker can write, checked */
	struct switch_ledger *ledger;
	const struct freezer *freezer;
	int keep_read_fd; /* of the queue of descriptors */
	int keep_write_fd;
	int wake_fd; /* the bell that is rung for it */
	uint64_t number;
	bool is_successor; /* of one that died: thaws, because of WHY */
	enum quiesce_thaw_why why;
};

/* Does all of it, and returns the exit status. Opens nothing after the file systems, allocates
 * nothing after that, and logs nothing. */
int switch_go(const struct switch_options *options);

/* The process: locks its memory, lets no signal but SIGKILL through, and does that. */
_Noreturn void switch_run(const struct switch_options *options);

#endif
