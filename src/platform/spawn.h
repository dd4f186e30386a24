/*
 * spawn: a program started in a child that shares our memory until it runs
 * (as vfork(2) does), so that the cost does not grow with the agent and an
 * error of any step comes back as a plain value.
 * Sources: clone(2) (clone3), execve(2), setsid(2), close_range(2).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PLATFORM_SPAWN_H
#define PLATFORM_SPAWN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "platform/users.h"

struct spawn_rlimit {
	unsigned int resource; /* RLIMIT_… of setrlimit(2) */
	struct rlimit limit;
};

/* All members are borrowed for the time of the call; descriptors stay the
 * caller's. */
struct spawn_options {
	const char *const *argv; /* NULL at the end; argv[0] with no slash is looked up */
	const char *const *envp; /* NULL at the end */
	const char *path;	 /* where it is looked up, colons between */
	const char *working_dir;
	bool working_dir_optional; /* "/" where it can't be entered */
	const struct run_as *user; /* NULL: keep our ids */
	int stdin_fd;
	int stdout_fd;
	int stderr_fd;
	int tty_fd; /* to be the controlling terminal; -1: none */
	const struct spawn_rlimit *rlimits;
	size_t rlimits_count;
	int cgroup_fd;		    /* directory of the cgroup to be born in; -1: ours */
	_Atomic int32_t *child_pid; /* told the pid before the child does anything */
};

/* Where it failed. */
enum spawn_stage {
	SPAWN_OK = 0,
	SPAWN_CLONE,  /* no child: memory, pids, cgroup */
	SPAWN_SETUP,  /* session, terminal, descriptors */
	SPAWN_RLIMIT, /* a limit can't be set; .detail is RLIMIT_… */
	SPAWN_WORKING_DIR,
	SPAWN_USER,
	SPAWN_EXEC,
};

/* What is wrong with the program, where the stage is SPAWN_EXEC. */
enum spawn_exec_problem {
	SPAWN_EXEC_OTHER = 0,
	SPAWN_EXEC_NOT_FOUND,
	SPAWN_EXEC_NO_RIGHT,
	SPAWN_EXEC_NOT_EXECUTABLE, /* a file with no x bit, or a directory */
	SPAWN_EXEC_NO_INTERPRETER, /* of its #! line, or its dynamic loader */
	SPAWN_EXEC_FORMAT,	   /* no program of this machine, no #! line */
};

struct spawn_failure {
	enum spawn_stage stage;
	enum spawn_exec_problem problem;
	int error; /* errno */
	int detail;
};

/* Starts the program: its own session and process group, default signal
 * dispositions, an empty signal mask, umask 022, oom_score_adj 0, descriptors 0,
 * 1 and 2 and no other. Returns 0 with the child's pid and a pidfd (close-on-exec,
 * the caller's), when the program runs; or -errno with *RET_FAILURE filled in and
 * no child left. Somebody may kill the child before that, while a file system does not
 * answer it: this looks like success, and *RET_FAILURE's stage says where it was. The caller has
 * all signals blocked, ignores none (signals_reset()), and has called oom_score_init(). */
int spawn_run(const struct spawn_options *options, pid_t *ret_pid, int *ret_pidfd,
    struct spawn_failure *ret_failure);

#endif
