/*
 * doctor/facts: what is known of a guest, as the agent told it: its status, and files of the
 * guest, which nobody has judged yet.
 *
 * All of it is the guest's and no more trusted than any other of its words: texts end with a
 * NUL and are bounded, and hold whatever the guest put there.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_DOCTOR_FACTS_H
#define CTL_DOCTOR_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ctl/core/client.h"
#include "protocol/status.h"

/* In the order in which they are asked for. */
enum facts_file {
	FACTS_STAT, /* these two tell the time, and stand side by side */
	FACTS_UPTIME,
	FACTS_RELEASE,
	FACTS_MODULES,
	FACTS_MOUNTS,
	FACTS_OWN_CGROUP,
	FACTS_SESSION_CONTROLLERS,
	FACTS_DEV,
	FACTS_PTS,
	FACTS_VSOCK_VIRTIO,
	FACTS_VSOCK_VMCI,
	FACTS_VSOCK_HYPERV,
	FACTS_PTP0,
	FACTS_PTP1,
	FACTS_RNG,
	FACTS_ENTROPY,
	FACTS_MEMORY,
	FACTS_LOAD,
	FACTS_PID_MAX,
	FACTS_THREADS_MAX,
	FACTS_LIMITS,
	FACTS_OPEN_FILES,
	FACTS_HOSTS,
	FACTS_HOSTNAME,
	FACTS_RESOLV,
	FACTS_NETWORK,
	FACTS_CONFIG,
	FACTS_COUNT,
};

/* One file: what is in it; of a directory the names, a line each. */
struct facts_text {
	const char *path; /* that was asked for; NULL: there is nothing to ask for */
	char *text;	  /* NULL: it could not be read */
	size_t len;
	int error;	  /* why, as -errno; -ENOENT: it is not there */
	int64_t asked_ms; /* the host's wall clock before, and after */
	int64_t told_ms;
};

struct facts {
	bool has_status;
	struct status status;
	const char *client_version;
	struct facts_text files[FACTS_COUNT];
	char controllers_path[512];
	char config_path[512];
};

/* No more of a file than this is looked at; of the kernel's configuration, more. */
#define FACTS_TEXT_MAX (256ul << 10)

/* Asks TARGET for all of it, for at most TIMEOUT_MS. A file that can't be read is no failure.
 * Returns 0 with *RET; or -errno with ERROR filled in where there is no agent to ask. *RET is for
 * facts_done() in any case. */
int facts_ask(const struct client_target *target, int timeout_ms, struct facts *ret,
    struct client_error *error);

void facts_done(struct facts *facts);
#define CLEANUP_FACTS __attribute__((cleanup(facts_done)))

/* The path below the cgroup2 mount that MOUNTS tells of at which the sessions' controllers
 * stand, for an agent in the cgroup that OWN, as /proc/PID/cgroup, names. Returns false where it
 * has no cgroup of its own to make others beside. */
bool facts_controllers_path(const char *mounts, const char *own, char *path, size_t size);

#endif
