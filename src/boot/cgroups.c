/*
 * SPDX-License-Identifier: MIT
 */
#include "boot/cgroups.h"

#include <errno.h>
#include <stdint.h>

#include "boot/step.h"
#include "platform/cgroup.h"
#include "platform/cgroup_find.h"
#include "platform/fd.h"
#include "platform/log.h"
#include "platform/proc.h"
#include "platform/text.h"

#define BOOT_CGROUPS_AGENT "agent"
#define BOOT_CGROUPS_SESSIONS "sessions"
#define BOOT_CGROUPS_NAME_MAX 16

/* How long what a predecessor left has to go. A cgroup that outlives that keeps its name,
 * and we take one of so many others. */
#define BOOT_CGROUPS_CLEAR_MS 2000
#define BOOT_CGROUPS_NAMES 16

/* Enough for the supervisor and a full pool of small sessions. */
#define BOOT_CGROUPS_MEMORY_MIN "33554432"

/* How many eighths of the kernel's pids the sessions may have. */
#define BOOT_CGROUPS_PIDS_PART 7
#define BOOT_CGROUPS_PIDS_WHOLE 8

/* The sessions together leave alone an eighth of the memory that is there at boot, at most
 * this much. Two tmpfs together are as large as all memory, and no kill frees what is in
 * them: without a limit the kernel would go on to kill the workers, and then panic. */
#define BOOT_CGROUPS_MEMORY_PART 8
#define BOOT_CGROUPS_MEMORY_LEFT (64ull * 1024 * 1024)
#define BOOT_CGROUPS_BYTES_PER_KIB 1024

static int boot_cgroups_fd = -1;

/* One at a time: the kernel, or the manager that delegated, may lack any of them. */
static void
boot_cgroups_hand_down(int fd)
{
	static const char *const controllers[] = { "+memory", "+pids", "+cpu" };

	for (size_t i = 0; i < sizeof(controllers) / sizeof(controllers[0]); i++) {
		int r = cgroup_write(fd, "cgroup.subtree_control", controllers[i]);

		if (r == -EBUSY)
			log_warnx("cgroups: no %s for sessions: somebody else is in our cgroup",
			    controllers[i] + 1);
	}
}

/* The smallest of the kernel's limits for the number of tasks, and of that which the
 * manager that delegated ROOT_FD has set. */
static uint64_t
boot_cgroups_max_pids(int root_fd)
{
	const struct {
		int fd;
		const char *file;
	} limits[] = {
		{ proc_dir_fd(), "sys/kernel/pid_max" },
		{ proc_dir_fd(), "sys/kernel/threads-max" },
		{ root_fd, "pids.max" },
	};
	uint64_t least = UINT64_MAX;

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		uint64_t limit;

		if (cgroup_read_number(limits[i].fd, limits[i].file, &limit) == 0 && limit < least)
			least = limit;
	}
	return least;
}

/* A new cgroup for the sessions. Where we are not the first, those of the run before
 * are ended: nobody is left to serve them. Theirs is never used again, as its
 * workers may still be about to clean up in it. */
static int
boot_cgroups_make_sessions(int root_fd)
{
	char name[BOOT_CGROUPS_NAME_MAX] = BOOT_CGROUPS_SESSIONS;
	int timeout_ms = BOOT_CGROUPS_CLEAR_MS;
	int r = -EBUSY;

	for (int i = 2; r < 0 && i < BOOT_CGROUPS_NAMES; i++) {
		r = cgroup_clear(root_fd, name, timeout_ms);
		if (r == 0)
			return cgroup_make(root_fd, name, &boot_cgroups_fd);
		log_error(r, "cgroups: %s of the run before can't be removed", name);
		(void)text_format(name, sizeof(name), BOOT_CGROUPS_SESSIONS "-%d", i);
		timeout_ms = 0;
	}
	return r;
}

static int
boot_cgroups_make(int root_fd)
{
	int CLEANUP_FD agent_fd = -1;
	uint64_t pids = boot_cgroups_max_pids(root_fd);
	int r;

	/* In a cgroup that was ever killed as a whole, later kernels kill new children. */
	(void)cgroup_remove(root_fd, BOOT_CGROUPS_AGENT);
	r = cgroup_make(root_fd, BOOT_CGROUPS_AGENT, &agent_fd);
	if (r == 0)
		r = cgroup_write(agent_fd, "cgroup.procs", "0");
	if (r == 0)
		r = boot_cgroups_make_sessions(root_fd);
	if (r < 0)
		return r;
	boot_cgroups_hand_down(root_fd);
	boot_cgroups_hand_down(boot_cgroups_fd);
	(void)cgroup_write(agent_fd, "memory.min", BOOT_CGROUPS_MEMORY_MIN);
	if (pids != UINT64_MAX)
		(void)cgroup_write_number(boot_cgroups_fd, "pids.max",
		    pids / BOOT_CGROUPS_PIDS_WHOLE * BOOT_CGROUPS_PIDS_PART);
	return 0;
}

/* What journals hold can't be reclaimed, and is the agent's: all of them may be full. A
 * service leaves the limit to the manager that delegated: it is not alone in the guest. */
static void
boot_cgroups_limit_memory(uint64_t journals_max)
{
	uint64_t memory;
	uint64_t left;

	if (cgroup_read_key(proc_dir_fd(), "meminfo", "MemAvailable:", &memory) < 0)
		return;
	memory *= BOOT_CGROUPS_BYTES_PER_KIB;
	left = memory / BOOT_CGROUPS_MEMORY_PART;
	if (left > BOOT_CGROUPS_MEMORY_LEFT)
		left = BOOT_CGROUPS_MEMORY_LEFT;
	left += journals_max;
	if (left < memory)
		(void)cgroup_write_number(boot_cgroups_fd, "memory.max", memory - left);
}

void
boot_cgroups(const struct boot_settings *settings)
{
	int CLEANUP_FD root_fd = -1;
	int r;

	if (!settings->wants_cgroups)
		return;
	r = cgroup_find_root(&root_fd);
	if (r == 0)
		r = boot_cgroups_make(root_fd);
	if (r < 0)
		log_error(r, "boot: cgroup v2");
	else
		boot_cgroups_limit_memory(settings->journals_max);
}

void
boot_cgroups_as_service(void)
{
	int CLEANUP_FD own_fd = -1;
	int r = cgroup_find_delegated(BOOT_CGROUPS_AGENT, &own_fd);

	/* Neither is wrong: not every manager delegates, or has cgroup v2. */
	if (r == -EPERM || r == -ENOENT)
		return;
	if (r == 0)
		r = boot_cgroups_make(own_fd);
	if (r < 0)
		log_error(r, "cgroups: can't use what is delegated");
}

int
boot_cgroups_sessions_fd(void)
{
	return boot_cgroups_fd;
}
