/*
 * session_cgroup: the cgroup that a session's program is born in.
 *
 * SPDX-License-Identifier: MIT
 */
#include "session/run/session_cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "platform/cgroup.h"
#include "platform/dir.h"
#include "platform/fd.h"
#include "platform/text.h"
#include "shared/cgroup_number.h"

#define SESSION_CGROUP_CPU_PERIOD_US 100000
#define SESSION_CGROUP_PERCENT 100
#define SESSION_CGROUP_US_PER_S 1000000

/* The one that this worker keeps; -1: none. */
static int cgroup_fd = -1;

/* ---- those that were left behind --------------------------------------- */

static bool
session_cgroup_is_named(const struct scoreboard *board, uint64_t number)
{
	for (uint32_t i = 0; i < board->workers; i++) {
		if (atomic_load(&board->slots[i].cgroup) == number)
			return true;
	}
	for (int i = 0; i < SCOREBOARD_DETACHED_MAX; i++) {
		if (atomic_load(&board->detached[i].state) != SCOREBOARD_FREE &&
		    atomic_load(&board->detached[i].cgroup) == number)
			return true;
	}
	return false;
}

/* Removes each cgroup that no slot names and no process is in. What can't be read is left
 * to the worker that collects next. */
static void
session_cgroup_collect(const struct session *session)
{
	DIR CLEANUP_DIR *dir = NULL;
	struct dirent *entry;

	if (dir_open(session->settings->session_cgroups_fd, ".", 0, &dir) < 0)
		return;
	while (dir_next(dir, &entry) == 0 && entry != NULL) {
		const char *problem;
		long long number = strtonum(entry->d_name, 1, INT64_MAX, &problem);

		if (problem == NULL && entry->d_type == DT_DIR &&
		    !session_cgroup_is_named(session->board, (uint64_t)number))
			(void)cgroup_remove(session->settings->session_cgroups_fd, entry->d_name);
	}
}

/* ---- this worker's ----------------------------------------------------- */

static void
session_cgroup_drop(struct session *session)
{
	fd_close(&cgroup_fd);
	atomic_store(&session->slot->cgroup, 0);
	atomic_store(&session->slot->cgroup_spent_us, 0);
}

int
session_cgroup_enter(struct session *session, bool is_fresh, int *ret_fd)
{
	uint64_t number = atomic_load(&session->slot->session);
	char name[CGROUP_NUMBER_NAME_MAX];
	int r;

	*ret_fd = -1;
	if (session->settings->session_cgroups_fd < 0)
		return 0;
	if (cgroup_fd >= 0 && (is_fresh || !cgroup_is_vacant(cgroup_fd)))
		session_cgroup_drop(session);
	if (cgroup_fd < 0) {
		session_cgroup_collect(session);
		cgroup_number_name(number, name);
		atomic_store(&session->slot->cgroup, number);
		r = cgroup_make(session->settings->session_cgroups_fd, name, &cgroup_fd);
		if (r < 0) {
			atomic_store(&session->slot->cgroup, 0);
			return r;
		}
	}
	*ret_fd = cgroup_fd;
	return 0;
}

void
session_cgroup_leave(struct session *session, bool is_used_up)
{
	if (cgroup_fd < 0)
		return;
	/* A session that is root may have set limits itself, or made others below. */
	if (is_used_up || cgroup_is_populated(cgroup_fd) || cgroup_is_limited(cgroup_fd) ||
	    cgroup_has_below(cgroup_fd)) {
		session_cgroup_drop(session);
		session_cgroup_collect(session);
	}
}

static uint64_t
session_cgroup_to_us(struct timeval time)
{
	return (uint64_t)time.tv_sec * SESSION_CGROUP_US_PER_S + (uint64_t)time.tv_usec;
}

void
session_cgroup_spend(struct session *session, const struct rusage *usage)
{
	(void)atomic_fetch_add(&session->slot->cgroup_spent_us,
	    session_cgroup_to_us(usage->ru_utime) + session_cgroup_to_us(usage->ru_stime));
}

/* ---- limits ------------------------------------------------------------ */

static int
session_cgroup_set_cpu(int fd, uint64_t percent)
{
	char text[64];

	(void)text_format(text, sizeof(text), "%" PRIu64 " %d",
	    percent * SESSION_CGROUP_CPU_PERIOD_US / SESSION_CGROUP_PERCENT,
	    SESSION_CGROUP_CPU_PERIOD_US);
	return cgroup_write(fd, "cpu.max", text);
}

static int
session_cgroup_set_limit(int fd, enum start_limit limit, uint64_t value)
{
	switch (limit) {
	case START_LIMIT_MEMORY_BYTES:
		/* What is not in memory would be in swap, if the guest has any. */
		(void)cgroup_write(fd, "memory.swap.max", "0");
		return cgroup_write_number(fd, "memory.max", value);
	case START_LIMIT_PIDS:
		return cgroup_write_number(fd, "pids.max", value);
	case START_LIMIT_CPU_PERCENT:
		return session_cgroup_set_cpu(fd, value);
	default:
		return 0; /* not a cgroup's */
	}
}

static bool
session_cgroup_keeps(const struct start_limits *limits, int limit)
{
	return (limits->have & 1u << limit) != 0 && limit <= START_LIMIT_CPU_PERCENT;
}

int
session_cgroup_set_limits(int fd, const struct start_limits *limits, enum start_limit *ret_limit)
{
	for (int i = 0; i < START_LIMIT_COUNT; i++) {
		int r;

		if (!session_cgroup_keeps(limits, i))
			continue;
		r = fd < 0 ? -ENOTSUP
			   : session_cgroup_set_limit(fd, (enum start_limit)i, limits->value[i]);
		if (r < 0) {
			*ret_limit = (enum start_limit)i;
			return r;
		}
	}
	return 0;
}

uint64_t
session_cgroup_count_oom_kills(int fd)
{
	uint64_t kills = 0;

	if (fd < 0 || cgroup_read_key(fd, "memory.events", "oom_kill", &kills) < 0)
		return 0;
	return kills;
}
