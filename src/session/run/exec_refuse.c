/*
 * exec_refuse: why a program could not be run, in words that a person can act on.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "session/run/exec_state.h"

static const char *
exec_refuse_problem_text(enum spawn_exec_problem problem)
{
	static const char *const texts[] = {
		[SPAWN_EXEC_OTHER] = NULL,
		[SPAWN_EXEC_NOT_FOUND] = "no such program",
		[SPAWN_EXEC_NO_RIGHT] = "no right to run it",
		[SPAWN_EXEC_NOT_EXECUTABLE] = "not executable",
		[SPAWN_EXEC_NO_INTERPRETER] =
		    "its interpreter (#! line) or dynamic loader is missing",
		[SPAWN_EXEC_FORMAT] = "neither a program of this machine nor a script with #!",
	};

	return texts[problem];
}

static void
exec_refuse_program(struct exec *exec, const struct spawn_failure *failure)
{
	const char *text = exec_refuse_problem_text(failure->problem);
	int code = VMM_GUEST_EXIT_CANNOT_RUN;

	if (failure->problem == SPAWN_EXEC_NOT_FOUND)
		code = VMM_GUEST_EXIT_NOT_FOUND;
	if (failure->error == ENOMEM || failure->error == EAGAIN)
		code = VMM_GUEST_EXIT_AGENT;
	session_refuse_exec(exec->session, code, "can't run '%.200s': %s", exec->request.argv[0],
	    text != NULL ? text : strerror(failure->error));
}

static const char *
exec_refuse_rlimit_name(int resource)
{
	switch (resource) {
	case RLIMIT_CORE:
		return start_limit_name(START_LIMIT_CORE_BYTES);
	case RLIMIT_FSIZE:
		return start_limit_name(START_LIMIT_FSIZE_BYTES);
	default:
		return start_limit_name(START_LIMIT_NOFILE);
	}
}

void
exec_refuse_stalled(struct exec *exec)
{
	(void)atomic_fetch_add(&exec->session->board->counts.stalled, 1);
	if (exec->spawn_stage == SPAWN_WORKING_DIR)
		session_refuse_exec(exec->session, VMM_GUEST_EXIT_CANNOT_RUN,
		    "can't enter working_dir '%.200s': its file system does not answer",
		    exec->request.working_dir);
	else
		session_refuse_exec(exec->session, VMM_GUEST_EXIT_CANNOT_RUN,
		    "can't run '%.200s': it is being changed (somebody holds a lease on it), "
		    "or its file system does not answer",
		    exec->request.argv[0]);
}

void
exec_refuse_spawn(struct exec *exec, const struct spawn_failure *failure)
{
	const char *error = strerror(failure->error);

	switch (failure->stage) {
	case SPAWN_EXEC:
		exec_refuse_program(exec, failure);
		break;
	case SPAWN_WORKING_DIR:
		session_refuse_exec(exec->session, VMM_GUEST_EXIT_CANNOT_RUN,
		    "can't enter working_dir '%.200s': %s", exec->request.working_dir, error);
		break;
	case SPAWN_USER:
		session_refuse_exec(exec->session, VMM_GUEST_EXIT_CANNOT_RUN,
		    "can't become user '%.64s': %s", exec->request.user, error);
		break;
	case SPAWN_RLIMIT:
		session_refuse_exec(exec->session, VMM_GUEST_EXIT_AGENT,
		    "limit '%s' can't be had: %s", exec_refuse_rlimit_name(failure->detail), error);
		break;
	case SPAWN_OK:
	case SPAWN_CLONE:
	case SPAWN_SETUP:
		session_refuse_exec(
		    exec->session, VMM_GUEST_EXIT_AGENT, "can't start a process: %s", error);
		break;
	}
}
