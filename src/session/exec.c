/*
 * exec: START: a program, run for the host, on pipes or a terminal. What happens
 * while it runs is relay.c's.
 */
#include "session/exec.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/clock.h"
#include "platform/fd.h"
#include "platform/spawn.h"
#include "protocol/report.h"
#include "protocol/start.h"
#include "session/detached.h"
#include "session/environment.h"
#include "session/group.h"
#include "session/relay.h"
#include "session/streams.h"

#define EXEC_MS_PER_S 1000

/* A user's groups and paths are too much for the stack, and one session runs at
 * a time. */
static struct user exec_user;

struct exec {
	struct session *session;
	struct start_request request;
	const struct user *user; /* NULL: the agent's own */
	struct environment environment;
	struct streams streams;
	struct group group;
	uint64_t started_ms;
};

/* ---- what STATUS shows ------------------------------------------------- */

static void
exec_describe(struct exec *exec)
{
	char command[VMM_GUEST_COMMAND_MAX + 1];
	size_t len = 0;

	command[0] = '\0';
	for (size_t i = 0; i < exec->request.argc && len < sizeof(command) - 1; i++) {
		if (i > 0)
			len = strlcat(command, " ", sizeof(command));
		len = strlcat(command, exec->request.argv[i], sizeof(command));
	}
	session_describe(exec->session, exec->request.user, command);
}

/* ---- refusals ---------------------------------------------------------- */

static const char *
exec_problem_text(enum spawn_exec_problem problem)
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
	const char *text = exec_problem_text(failure->problem);
	int code = VMM_GUEST_EXIT_CANNOT_RUN;

	if (failure->problem == SPAWN_EXEC_NOT_FOUND)
		code = VMM_GUEST_EXIT_NOT_FOUND;
	if (failure->error == ENOMEM || failure->error == EAGAIN)
		code = VMM_GUEST_EXIT_AGENT;
	session_refuse_exec(exec->session, code, "can't run '%.200s': %s", exec->request.argv[0],
	    text != NULL ? text : strerror(failure->error));
}

static void
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
	case SPAWN_OK:
	case SPAWN_CLONE:
	case SPAWN_SETUP:
	case SPAWN_RLIMIT:
		session_refuse_exec(
		    exec->session, VMM_GUEST_EXIT_AGENT, "can't start a process: %s", error);
		break;
	}
}

/* ---- the steps --------------------------------------------------------- */

/* Each step returns true, or false when it has refused the session. */

static bool
exec_parse(struct exec *exec, const uint8_t *payload, size_t len)
{
	struct json_error error;
	int r = start_parse((const char *)payload, len, &exec->request, &error);

	if (r == 0)
		return true;
	(void)atomic_fetch_add(&exec->session->board->counts.bad_requests, 1);
	session_refuse_exec(exec->session, VMM_GUEST_EXIT_AGENT, "bad START: %s",
	    r == -EINVAL ? error.text : strerror(-r));
	return false;
}

static bool
exec_find_user(struct exec *exec)
{
	const char *problem;
	int r;

	if (exec->request.user[0] == '\0')
		return true;
	r = users_lookup(USERS_DIRECTORY, exec->request.user, &exec_user, &problem);
	if (r < 0) {
		session_refuse_exec(exec->session, VMM_GUEST_EXIT_CANNOT_RUN, "user '%.64s': %s",
		    exec->request.user, problem);
		return false;
	}
	exec->user = &exec_user;
	return true;
}

static bool
exec_prepare(struct exec *exec)
{
	const struct session_settings *settings = exec->session->settings;
	int r = environment_make(
	    &exec->request, exec->user, settings->home, settings->term, &exec->environment);

	if (r == 0)
		r = streams_open(&exec->request, exec->user, &exec->streams);
	if (r < 0)
		session_refuse_exec(exec->session, VMM_GUEST_EXIT_AGENT,
		    "can't open the program's streams: %s", strerror(-r));
	return r == 0;
}

static bool
exec_spawn(struct exec *exec)
{
	const struct session_settings *settings = exec->session->settings;
	const char *dir = exec->request.working_dir;
	bool at_home = strcmp(dir, "~") == 0;
	struct spawn_rlimit nofile = { .resource = RLIMIT_NOFILE, .limit = settings->nofile };
	struct spawn_options options = {
		.argv = exec->request.argv,
		.envp = (const char *const *)exec->environment.variables,
		.path = exec->environment.path,
		.working_dir = dir[0] != '\0' ? dir : "/",
		.working_dir_optional = at_home,
		.user = exec->user,
		.stdin_fd = exec->streams.child[0],
		.stdout_fd = exec->streams.child[1],
		.stderr_fd = exec->streams.child[2],
		.tty_fd = exec->streams.tty_slave_fd,
		.rlimits = &nofile,
		.rlimits_count = settings->nofile.rlim_cur > 0 ? 1 : 0,
		.cgroup_fd = -1,
		.child_pid = &exec->session->slot->child_pid,
	};
	struct spawn_failure failure;
	int r;

	if (at_home)
		options.working_dir = exec->user != NULL ? exec->user->home : settings->home;
	exec->group = (struct group){ .pid_fd = -1, .slot = exec->session->slot };
	exec->started_ms = clock_mono_ms();
	atomic_store(&exec->session->slot->spawning, 1);
	r = spawn_run(&options, &exec->group.pid, &exec->group.pid_fd, &failure);
	atomic_store(&exec->session->slot->spawning, 0);
	streams_close_child(&exec->streams);
	if (r < 0)
		exec_refuse_spawn(exec, &failure);
	return r == 0;
}

/* ---- while it runs, and after ------------------------------------------ */

static void
exec_count(struct exec *exec, const struct relay_end *end)
{
	struct scoreboard_counts *counts = &exec->session->board->counts;

	if (end->end.signaled)
		(void)atomic_fetch_add(&counts->signaled, 1);
	else
		(void)atomic_fetch_add(&counts->exited, 1);
	if (end->reason == RELAY_TIMEOUT)
		(void)atomic_fetch_add(&counts->timeouts, 1);
}

static const char *
exec_reason_name(const struct exec *exec, const struct relay_end *end)
{
	static const char *const names[] = {
		[RELAY_EXITED] = "exited",
		[RELAY_TIMEOUT] = "timeout",
		[RELAY_DISCONNECTED] = "disconnected",
		[RELAY_SHUTDOWN] = "shutdown",
		[RELAY_PROTOCOL] = "disconnected",
	};

	/* As PID 1 the supervisor ends what is in the guest, and we see it end. */
	if (end->reason == RELAY_EXITED &&
	    atomic_load(&exec->session->board->shutdown.stage) >= SCOREBOARD_ENDING)
		return names[RELAY_SHUTDOWN];
	if (end->reason == RELAY_EXITED && end->end.signaled)
		return "signaled";
	return names[end->reason];
}

static uint64_t
exec_to_ms(struct timeval time)
{
	return (uint64_t)time.tv_sec * EXEC_MS_PER_S + (uint64_t)time.tv_usec / EXEC_MS_PER_S;
}

/* Sends one STATUS, if the host asked for them. */
static void
exec_report(struct exec *exec, char *text, size_t len)
{
	if (text != NULL)
		(void)conn_send(&exec->session->conn, VMM_GUEST_STATUS, text, len, -1);
	free(text);
}

static void
exec_report_started(struct exec *exec)
{
	size_t len = 0;
	char *text;

	if (!exec->request.report)
		return;
	text = report_started_format(exec->group.pid, &len);
	exec_report(exec, text, len);
}

static void
exec_report_exited(struct exec *exec, const struct relay_end *end, const struct rusage *usage)
{
	struct report_exited report = {
		.code = end->end.signaled ? VMM_GUEST_EXIT_SIGNAL_BASE + end->end.signal
					  : end->end.code,
		.signal = end->end.signal,
		.reason = exec_reason_name(exec, end),
		.wall_ms = clock_mono_ms() - exec->started_ms,
		.user_ms = exec_to_ms(usage->ru_utime),
		.system_ms = exec_to_ms(usage->ru_stime),
		.max_rss_kb = (uint64_t)usage->ru_maxrss,
		.output_held = end->output_held,
	};
	size_t len = 0;
	char *text;

	if (!exec->request.report)
		return;
	text = report_exited_format(&report, &len);
	exec_report(exec, text, len);
}

static void
exec_send_end(struct exec *exec, const struct relay_end *end)
{
	int code = end->end.code;

	if (end->reason == RELAY_PROTOCOL) {
		session_refuse_exec(exec->session, VMM_GUEST_EXIT_AGENT,
		    "a frame was announced with more than %u bytes: the session was killed",
		    VMM_GUEST_FRAME_MAX);
		return;
	}
	if (end->end.signaled)
		code = VMM_GUEST_EXIT_SIGNAL_BASE + end->end.signal;
	session_send_exit(exec->session, code, end->end.signal);
}

/* Lets the program go: from here on it is not this session's. The worker leaves
 * after the session, since it has a child, which is then the supervisor's. */
static void
exec_release(struct exec *exec)
{
	struct slot *slot = exec->session->slot;
	struct rusage usage;

	if (detached_enlist(exec->session->board, slot, exec->group.pid) == NULL) {
		group_kill(&exec->group);
		group_reap(&exec->group, &usage);
		session_refuse_exec(exec->session, VMM_GUEST_EXIT_AGENT,
		    "%d detached programs are running already", SCOREBOARD_DETACHED_MAX);
		return;
	}
	atomic_store(&slot->child_pid, 0);
	fd_close(&exec->group.pid_fd);
	(void)atomic_fetch_add(&exec->session->board->counts.started, 1);
	exec_report_started(exec);
	session_send_exit(exec->session, VMM_GUEST_EXIT_OK, 0);
}

static void
exec_run(struct exec *exec)
{
	struct streams *streams = &exec->streams;
	struct relay_options options = {
		.conn = &exec->session->conn,
		.group = &exec->group,
		.stdin_fd = fd_steal(&streams->stdin_fd),
		.stdout_fd = fd_steal(&streams->stdout_fd),
		.stderr_fd = fd_steal(&streams->stderr_fd),
		.tty_fd = fd_steal(&streams->tty_fd),
		.tty_slave_fd = fd_steal(&streams->tty_slave_fd),
		.timeout_ms = (uint64_t)exec->request.timeout_seconds * EXEC_MS_PER_S,
		.grace_ms = (uint64_t)exec->request.kill_grace_seconds * EXEC_MS_PER_S,
	};
	struct relay_end end;
	struct rusage usage = { 0 };

	(void)atomic_fetch_add(&exec->session->board->counts.started, 1);
	exec_report_started(exec);
	relay_run(&options, &end);
	exec_count(exec, &end);
	/* One that can't be reaped is left to the supervisor: the worker leaves. */
	if (!end.is_stuck)
		group_reap(&exec->group, &usage);
	else
		fd_close(&exec->group.pid_fd);
	if (!end.is_gone) {
		exec_report_exited(exec, &end, &usage);
		exec_send_end(exec, &end);
	}
}

static void
exec_attend(struct exec *exec)
{
	if (exec->request.detach)
		exec_release(exec);
	else
		exec_run(exec);
}

void
exec_serve(struct session *session, uint8_t type, const uint8_t *payload, size_t len)
{
	struct exec exec = { .session = session, .group.pid_fd = -1 };

	(void)type;
	if (!exec_parse(&exec, payload, len))
		return;
	exec_describe(&exec);
	if (exec_find_user(&exec)) {
		if (exec_prepare(&exec)) {
			if (exec_spawn(&exec))
				exec_attend(&exec);
			streams_close(&exec.streams);
		}
		environment_done(&exec.environment);
	}
	start_done(&exec.request);
}
