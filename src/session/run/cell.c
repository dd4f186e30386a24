/*
 * cell: the cgroup that a session's program is born in.
 */
#include "session/run/cell.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "platform/cgroup.h"
#include "platform/dir.h"
#include "platform/fd.h"
#include "shared/cell_number.h"

#define CELL_CPU_PERIOD_US 100000
#define CELL_PERCENT 100

/* The worker's own. */
static int cell_fd = -1;

/* ---- those that were left behind --------------------------------------- */

static bool
cell_is_named(const struct scoreboard *board, uint64_t number)
{
	for (uint32_t i = 0; i < board->workers; i++) {
		if (atomic_load(&board->slots[i].cell) == number)
			return true;
	}
	for (int i = 0; i < SCOREBOARD_DETACHED_MAX; i++) {
		if (atomic_load(&board->detached[i].state) != SCOREBOARD_FREE &&
		    atomic_load(&board->detached[i].cell) == number)
			return true;
	}
	return false;
}

/* Removes what nobody names and nobody is in. What could not be read is left to the
 * next that collects. */
static void
cell_collect(const struct session *session)
{
	DIR CLEANUP_DIR *dir = NULL;
	struct dirent *entry;

	if (dir_open(session->settings->cells_fd, ".", 0, &dir) < 0)
		return;
	while (dir_next(dir, &entry) == 0 && entry != NULL) {
		const char *problem;
		long long number = strtonum(entry->d_name, 1, INT64_MAX, &problem);

		if (problem == NULL && entry->d_type == DT_DIR &&
		    !cell_is_named(session->board, (uint64_t)number))
			(void)cgroup_remove(session->settings->cells_fd, entry->d_name);
	}
}

/* ---- this worker's ----------------------------------------------------- */

static void
cell_drop(struct session *session)
{
	fd_close(&cell_fd);
	atomic_store(&session->slot->cell, 0);
}

int
cell_enter(struct session *session, bool is_fresh, int *ret_fd)
{
	uint64_t number = atomic_load(&session->slot->session);
	char name[CELL_NUMBER_NAME_MAX];
	int r;

	*ret_fd = -1;
	if (session->settings->cells_fd < 0)
		return 0;
	if (cell_fd >= 0 && (is_fresh || !cgroup_is_vacant(cell_fd)))
		cell_drop(session);
	if (cell_fd < 0) {
		cell_collect(session);
		cell_number_name(number, name);
		atomic_store(&session->slot->cell, number);
		r = cgroup_make(session->settings->cells_fd, name, &cell_fd);
		if (r < 0) {
			atomic_store(&session->slot->cell, 0);
			return r;
		}
	}
	*ret_fd = cell_fd;
	return 0;
}

void
cell_leave(struct session *session, bool is_used_up)
{
	if (cell_fd < 0)
		return;
	/* A session that is root may have set limits itself. */
	if (is_used_up || cgroup_is_populated(cell_fd) || cgroup_is_limited(cell_fd)) {
		cell_drop(session);
		cell_collect(session);
	}
}

/* ---- limits ------------------------------------------------------------ */

static int
cell_set_cpu(int fd, uint64_t percent)
{
	char text[64];

	if (percent == 0 || percent > UINT32_MAX)
		return -ERANGE;
	(void)snprintf(text, sizeof(text), "%" PRIu64 " %d",
	    percent * CELL_CPU_PERIOD_US / CELL_PERCENT, CELL_CPU_PERIOD_US);
	return cgroup_write(fd, "cpu.max", text);
}

static int
cell_set_limit(int fd, enum start_limit limit, uint64_t value)
{
	switch (limit) {
	case START_LIMIT_MEMORY_BYTES:
		/* What is not in memory would be in swap, if the guest has any. */
		(void)cgroup_write(fd, "memory.swap.max", "0");
		return cgroup_write_number(fd, "memory.max", value);
	case START_LIMIT_PIDS:
		return cgroup_write_number(fd, "pids.max", value);
	case START_LIMIT_CPU_PERCENT:
		return cell_set_cpu(fd, value);
	default:
		return 0; /* not a cgroup's */
	}
}

static bool
cell_keeps(const struct start_limits *limits, int limit)
{
	return (limits->have & 1u << limit) != 0 && limit <= START_LIMIT_CPU_PERCENT;
}

int
cell_set_limits(int fd, const struct start_limits *limits, enum start_limit *ret_limit)
{
	for (int i = 0; i < START_LIMIT_COUNT; i++) {
		int r;

		if (!cell_keeps(limits, i))
			continue;
		r = fd < 0 ? -ENOTSUP : cell_set_limit(fd, (enum start_limit)i, limits->value[i]);
		if (r < 0) {
			*ret_limit = (enum start_limit)i;
			return r;
		}
	}
	return 0;
}

uint64_t
cell_count_oom_kills(int fd)
{
	uint64_t kills = 0;

	if (fd < 0 || cgroup_read_key(fd, "memory.events", "oom_kill", &kills) < 0)
		return 0;
	return kills;
}
