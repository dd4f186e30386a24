/*
 * session_settings: the part of the configuration that the sessions need.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHARED_SESSION_SETTINGS_H
#define SHARED_SESSION_SETTINGS_H

#include <stdint.h>
#include <sys/resource.h>

struct session_settings {
	uint64_t max_file_bytes; /* largest WRITE */
	int stall_timeout_ms;	 /* after this long without progress a file request ends */
	const char *home;	 /* of the agent's own user */
	const char *dns;	 /* resolv.conf; see protocol/name_servers.h */
	const char *term;	 /* the agent's terminal type for its sessions, or NULL */
	int session_cgroups_fd;	 /* the sessions' cgroups (session_cgroup.h); -1: none */
	int shm_fd;		 /* of /dev/shm; -1: none, or no tmpfs */
	struct rlimit nofile;	 /* RLIMIT_NOFILE of sessions; 0: as the agent's own */
};

#endif
