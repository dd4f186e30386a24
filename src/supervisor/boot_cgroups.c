/*
 * boot_cgroups: the two halves of the guest.
 */
#include "supervisor/boot_cgroups.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "platform/cgroup.h"
#include "platform/fd.h"
#include "platform/log.h"
#include "platform/proc.h"

#define BOOT_CGROUPS_AGENT "agent"
#define BOOT_CGROUPS_SESSIONS "sessions"

/* Enough for the supervisor and a full pool of small sessions. */
#define BOOT_CGROUPS_MEMORY_MIN "33554432"

/* Of the kernel's pids, so many eighths may be the sessions'. */
#define BOOT_CGROUPS_PIDS_PART 7
#define BOOT_CGROUPS_PIDS_WHOLE 8

/* Of the memory that is there at boot, what the sessions together leave alone: an
 * eighth, and no more than this. Two tmpfs together are as large as all memory, and
 * what lies in them no kill gives back: without a limit the kernel goes on to kill
 * the workers, and then has a panic for want of anybody else. */
#define BOOT_CGROUPS_MEMORY_PART 8
#define BOOT_CGROUPS_MEMORY_LEFT (64ull * 1024 * 1024)
#define BOOT_CGROUPS_BYTES_PER_KIB 1024

static int boot_cgroups_fd = -1;

/* One at a time: a kernel may lack any of them. */
static void
boot_cgroups_hand_down(int fd)
{
	static const char *const controllers[] = { "+memory", "+pids", "+cpu" };

	for (size_t i = 0; i < sizeof(controllers) / sizeof(controllers[0]); i++)
		(void)cgroup_write(fd, "cgroup.subtree_control", controllers[i]);
}

/* The smaller of the two limits that the kernel has for the number of tasks. */
static uint64_t
boot_cgroups_max_pids(void)
{
	uint64_t pids = UINT64_MAX;
	uint64_t threads = UINT64_MAX;

	(void)cgroup_read_number(proc_dir_fd(), "sys/kernel/pid_max", &pids);
	(void)cgroup_read_number(proc_dir_fd(), "sys/kernel/threads-max", &threads);
	return pids < threads ? pids : threads;
}

static uint64_t
boot_cgroups_max_memory(void)
{
	uint64_t memory;
	uint64_t left;

	if (cgroup_read_key(proc_dir_fd(), "meminfo", "MemAvailable:", &memory) < 0)
		return UINT64_MAX;
	memory *= BOOT_CGROUPS_BYTES_PER_KIB;
	left = memory / BOOT_CGROUPS_MEMORY_PART;
	return memory - (left < BOOT_CGROUPS_MEMORY_LEFT ? left : BOOT_CGROUPS_MEMORY_LEFT);
}

static int
boot_cgroups_make(int root_fd)
{
	int CLEANUP_FD agent_fd = -1;
	uint64_t pids = boot_cgroups_max_pids();
	uint64_t memory = boot_cgroups_max_memory();
	int r = cgroup_make(root_fd, BOOT_CGROUPS_AGENT, &agent_fd);

	if (r == 0)
		r = cgroup_write(agent_fd, "cgroup.procs", "0");
	if (r == 0)
		r = cgroup_make(root_fd, BOOT_CGROUPS_SESSIONS, &boot_cgroups_fd);
	if (r < 0)
		return r;
	boot_cgroups_hand_down(root_fd);
	boot_cgroups_hand_down(boot_cgroups_fd);
	(void)cgroup_write(agent_fd, "memory.min", BOOT_CGROUPS_MEMORY_MIN);
	if (pids != UINT64_MAX)
		(void)cgroup_write_number(boot_cgroups_fd, "pids.max",
		    pids / BOOT_CGROUPS_PIDS_WHOLE * BOOT_CGROUPS_PIDS_PART);
	if (memory != UINT64_MAX)
		(void)cgroup_write_number(boot_cgroups_fd, "memory.max", memory);
	return 0;
}

void
boot_cgroups_run(void)
{
	int CLEANUP_FD root_fd = -1;
	int r = cgroup_open_root(&root_fd);

	if (r == 0)
		r = boot_cgroups_make(root_fd);
	if (r < 0)
		log_warnx("boot: cgroup v2: %s", strerror(-r));
}

int
boot_cgroups_sessions_fd(void)
{
	return boot_cgroups_fd;
}
