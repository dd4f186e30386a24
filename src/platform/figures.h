/*
 * figures: what the kernel counts of the guest and of a session's cgroup. Counters and amounts as
 * they stand at the call: nothing is sampled, and nothing is kept.
 *
 * Whoever is root in the guest may make a file of these long, or mount another file system over
 * it, which answers when it likes. So no mount is crossed (openat2(2); before Linux 5.6, which
 * has no such call, one may be), and of each file only the first lines are read.
 *
 * Source: proc(5), the kernel's Documentation/admin-guide/iostats.rst, cgroup-v2.rst, and
 * Documentation/accounting/psi.rst.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PLATFORM_FIGURES_H
#define PLATFORM_FIGURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How many disks are told of, and how many network interfaces. */
#define FIGURES_DISKS_MAX 32
#define FIGURES_LINKS_MAX 32

/* Room for a name of these, and for the kernel's release. */
#define FIGURES_NAME_MAX 32
#define FIGURES_KERNEL_MAX 65

/* A disk that was read or written; a part of a disk is not one. */
struct figures_disk {
	const char *name;
	uint64_t reads;
	uint64_t read_bytes;
	uint64_t writes;
	uint64_t written_bytes;
	uint64_t busy_ms;
	char text[FIGURES_NAME_MAX]; /* figures_read()'s; NAME is it */
};

struct figures_link {
	const char *name;
	uint64_t received_bytes;
	uint64_t sent_bytes;
	char text[FIGURES_NAME_MAX];
};

/* In the order of /proc/stat. */
enum figures_cpu {
	FIGURES_USER = 0,
	FIGURES_NICE,
	FIGURES_SYSTEM,
	FIGURES_IDLE,
	FIGURES_IOWAIT,
	FIGURES_IRQ,
	FIGURES_SOFTIRQ,
	FIGURES_STEAL,
	FIGURES_CPU_COUNT,
};

enum figures_memory {
	FIGURES_TOTAL = 0,
	FIGURES_FREE,
	FIGURES_AVAILABLE,
	FIGURES_SWAP_TOTAL,
	FIGURES_SWAP_FREE,
	FIGURES_MEMORY_COUNT,
};

/* Microseconds that some, or all, that had work to do waited for the resource. */
enum figures_stall {
	FIGURES_SOME = 0,
	FIGURES_FULL,
	FIGURES_STALL_COUNT,
};

struct figures {
	const char *kernel; /* its release; "": not known */
	uint32_t cpus;	    /* that are online */
	bool has_pressure;  /* the kernel counts it, and the last three count */
	uint64_t uptime_ms; /* of the guest, suspended or not */
	uint64_t cpu_ms[FIGURES_CPU_COUNT];
	uint64_t memory[FIGURES_MEMORY_COUNT]; /* bytes */
	struct {
		uint64_t bytes, free_bytes, inodes, free_inodes; /* free for users but root */
	} root;							 /* the file system of / */
	const struct figures_disk *disks;
	size_t disks_count;
	const struct figures_link *links;
	size_t links_count;
	uint64_t cpu_stall_us[FIGURES_STALL_COUNT];
	uint64_t memory_stall_us[FIGURES_STALL_COUNT];
	uint64_t io_stall_us[FIGURES_STALL_COUNT];
};

/* The same with what it points to. */
struct figures_room {
	struct figures figures;
	char kernel[FIGURES_KERNEL_MAX];
	struct figures_disk disks[FIGURES_DISKS_MAX];
	struct figures_link links[FIGURES_LINKS_MAX];
};

/* Fills ROOM in from the files below PROC_FD, a descriptor of /proc. What can't be read is 0, or
 * not there. */
void figures_read(int proc_fd, struct figures_room *room);

struct figures_session {
	bool has_memory; /* the cgroup has the controller */
	bool has_cpu;
	uint64_t memory_bytes;
	uint64_t cpu_us; /* since the cgroup was made */
};

/* The same of the cgroup NUMBER below CGROUPS_FD (-1: there is none). */
void figures_read_session(int cgroups_fd, uint64_t number, struct figures_session *ret);

#endif
