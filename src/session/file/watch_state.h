/*
 * file_watch_state: one WATCH, for its parts alone: file_watch.c hears of what happens,
 * file_watch_scan.c puts the watches on, file_watch_tell.c tells the host.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_FILE_WATCH_STATE_H
#define SESSION_FILE_WATCH_STATE_H

#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/inotify.h>
#include <sys/types.h>

#include "session/file/watch_table.h"
#include "session/session.h"

/* What is told in one send, more than the largest event takes: two paths, of which
 * JSON may make six bytes for one. */
#define FILE_WATCH_OUT_SIZE (128 * 1024)

#define FILE_WATCH_QUEUE_SIZE (64 * 1024)

struct file_watch {
	struct session *session;
	const char *path; /* as the host gave it; no slashes at the end */
	const char *only; /* the name in the top directory that is watched; NULL: all */
	bool recursive;
	bool has_user;	/* whose rights decide what is watched; see file_user.h */
	bool gaps;	/* the host understands `unwatched` */
	bool stands;	/* ACK went out: events may follow */
	bool has_noted; /* a gap that is still to be told of */
	int inotify_fd;
	int home_fd;   /* where this worker stands; see file_watch_reach.c */
	dev_t top_dev; /* which directory the top is */
	ino_t top_ino;

	/* The kernel's events, read and not yet handled: [head, tail). */
	bool waited; /* for the other half of the rename at HEAD */
	size_t head;
	size_t tail;

	/* Frames for the host, not yet sent. */
	size_t out_len;
	size_t out_count;

	struct file_watch_table dirs;
	alignas(struct inotify_event) char queue[FILE_WATCH_QUEUE_SIZE];
	uint8_t out[FILE_WATCH_OUT_SIZE];
};

#endif
