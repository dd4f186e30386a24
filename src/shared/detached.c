/*
 * SPDX-License-Identifier: MIT
 */
#include "shared/detached.h"

#include <stdatomic.h>
#include <string.h>

#include "platform/cgroup.h"
#include "platform/fd.h"
#include "shared/cgroup_number.h"

struct scoreboard_detached *
detached_enlist(struct scoreboard *board, const struct slot *slot, int32_t pid)
{
	uint64_t first = atomic_load(&slot->session);

	/* Not the entry that was struck off last: a KILL that asked for a signal there may not
	 * have looked yet what became of it. */
	for (uint64_t i = 0; i < SCOREBOARD_DETACHED_MAX; i++) {
		struct scoreboard_detached *entry =
		    &board->detached[(first + i) % SCOREBOARD_DETACHED_MAX];
		uint32_t expected = SCOREBOARD_FREE;

		if (!atomic_compare_exchange_strong(&entry->state, &expected, SCOREBOARD_FILLING))
			continue;
		atomic_store(&entry->pid, pid);
		atomic_store(&entry->session, atomic_load(&slot->session));
		atomic_store(&entry->cgroup, atomic_load(&slot->cgroup));
		entry->started_ms = atomic_load(&slot->started_ms);
		memcpy(entry->name, slot->name, sizeof(entry->name));
		memcpy(entry->user, slot->user, sizeof(entry->user));
		memcpy(entry->command, slot->command, sizeof(entry->command));
		atomic_store(&entry->state, SCOREBOARD_RUNS);
		return entry;
	}
	return NULL;
}

struct scoreboard_detached *
detached_find(struct scoreboard *board, uint64_t number)
{
	for (int i = 0; number != 0 && i < SCOREBOARD_DETACHED_MAX; i++) {
		struct scoreboard_detached *entry = &board->detached[i];

		if (atomic_load(&entry->state) == SCOREBOARD_RUNS &&
		    atomic_load(&entry->session) == number)
			return entry;
	}
	return NULL;
}

void
detached_strike_if_empty(struct scoreboard_detached *entry, int session_cgroups_fd)
{
	int CLEANUP_FD cgroup_fd =
	    cgroup_number_open(session_cgroups_fd, atomic_load(&entry->cgroup));

	if (atomic_load(&entry->pid) != 0 || (cgroup_fd >= 0 && cgroup_is_populated(cgroup_fd)))
		return;
	cgroup_number_remove(session_cgroups_fd, atomic_load(&entry->cgroup));
	atomic_store(&entry->session, 0);
	atomic_store(&entry->cgroup, 0);
	atomic_store(&entry->state, SCOREBOARD_FREE);
}
