/*
 * exec: START: a program, run for the host, on pipes or a terminal. What happens
 * while it runs is relay.c's.
 *
 * SPDX-License-Identifier: MIT
 */
#include "session/run/exec.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>

#include "platform/clock.h"
#include "platform/fd.h"
#include "platform/watchdog.h"
#include "session/run/session_cgroup.h"
#include "shared/detached.h"
#include "session/run/exec_state.h"

#define EXEC_MS_PER_S 1000
#define EXEC_RLIMITS_MAX 4
#define EXEC_SPAWN_MAX_S 10

/* For a child that was killed to end. */
#define EXEC_DEATH_MS 1000

/* A user's groups and paths are too much for the stack, and one session runs at
 * a time. */
static struct run_as exec_user;

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

/* ---- the steps --------------------------------------------------------- */

/* Each step returns true, or false when it has refused the session. */

static bool
exec_parse(struct exec *exec, const uint8_t *payload, size_t len)
{
	struct json_error error;

	if (start_parse((const char *)payload, len, &exec->request, &error) == 0)
		return true;
	(void)atomic_fetch_add(&exec->session->board->counts.bad_requests, 1);
	session_refuse_exec(exec->session, VMM_GUEST_EXIT_AGENT, "bad START: %s", error.text);
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
	const char *what;
	int r = environment_make(
	    &exec->request, exec->user, settings->home, settings->term, &exec->environment);

	if (r < 0) {
		session_refuse_exec(exec->session, VMM_GUEST_EXIT_AGENT,
		    "can't make the program's environment: %s", strerror(-r));
		return false;
	}
	r = streams_open(&exec->request, exec->user, &exec->streams, &what);
	if (r < 0)
		session_refuse_exec(exec->session, VMM_GUEST_EXIT_AGENT,
		    "can't open %s for the program: %s", what, strerror(-r));
	return r == 0;
}

/* A cell of its own for who is measured or limited: the peak of its memory can't
 * be reset on most kernels. */
static bool
exec_needs_fresh_cgroup(const struct exec *exec)
{
	return exec->request.limits.have != 0 || exec->request.report || exec->request.detach;
}

static bool
exec_enter_cgroup(struct exec *exec)
{
	const struct start_limits *limits = &exec->request.limits;
	enum start_limit limit;
	int r =
	    session_cgroup_enter(exec->session, exec_needs_fresh_cgroup(exec), &exec->cgroup_fd);

	if (r < 0) {
		session_refuse_exec(exec->session, VMM_GUEST_EXIT_AGENT,
		    "can't make a cgroup for the session: %s", strerror(-r));
		return false;
	}
	r = session_cgroup_set_limits(exec->cgroup_fd, limits, &limit);
	if (r < 0) {
		session_refuse_exec(exec->session, VMM_GUEST_EXIT_AGENT,
		    "limit '%s' can't be had: %s", start_limit_name(limit),
		    r == -ENOENT || r == -ENOTSUP ? "the guest has no such cgroup controller"
						  : strerror(-r));
		return false;
	}
	exec->oom_kills = session_cgroup_count_oom_kills(exec->cgroup_fd);
	return true;
}

/* The limits of a process: the agent's raised one is put back, then what the host
 * asked for. Returns how many. */
static size_t
exec_collect_rlimits(const struct exec *exec, struct spawn_rlimit *rlimits)
{
	static const struct {
		enum start_limit limit;
		unsigned resource;
	} table[] = {
		{ START_LIMIT_NOFILE, RLIMIT_NOFILE },
		{ START_LIMIT_CORE_BYTES, RLIMIT_CORE },
		{ START_LIMIT_FSIZE_BYTES, RLIMIT_FSIZE },
	};
	const struct start_limits *limits = &exec->request.limits;
	const struct rlimit *nofile = &exec->session->settings->nofile;
	size_t count = 0;

	if (nofile->rlim_cur > 0)
		rlimits[count++] = (struct spawn_rlimit){ RLIMIT_NOFILE, *nofile };
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		rlim_t value = limits->value[table[i].limit];

		if (limits->have & 1u << table[i].limit)
			rlimits[count++] =
			    (struct spawn_rlimit){ table[i].resource, { value, value } };
	}
	return count;
}

/* Starts the program, if need be in another session_cgroup: the one that was kept has had a
 * session in it, which may have made a cgroup of it that nobody can be born in. */
static int
exec_spawn_in_cgroup(
    struct exec *exec, struct spawn_options *options, struct spawn_failure *ret_failure)
{
	int r = spawn_run(options, &exec->tree.pid, &exec->tree.pid_fd, ret_failure);

	if (r == 0 || ret_failure->stage != SPAWN_CLONE || exec->cgroup_fd < 0 ||
	    exec_needs_fresh_cgroup(exec) ||
	    session_cgroup_enter(exec->session, true, &exec->cgroup_fd) < 0)
		return r;
	options->cgroup_fd = exec->tree.cgroup_fd = exec->cgroup_fd;
	exec->oom_kills = 0;
	return spawn_run(options, &exec->tree.pid, &exec->tree.pid_fd, ret_failure);
}

static bool
exec_spawn(struct exec *exec)
{
	const struct session_settings *settings = exec->session->settings;
	const char *dir = exec->request.working_dir;
	bool at_home = strcmp(dir, "~") == 0;
	struct spawn_rlimit rlimits[EXEC_RLIMITS_MAX];
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
		.rlimits = rlimits,
		.rlimits_count = exec_collect_rlimits(exec, rlimits),
		.cgroup_fd = exec->cgroup_fd,
		.child_pid = &exec->session->slot->child_pid,
	};
	struct spawn_failure failure;
	int r;

	if (at_home)
		options.working_dir = exec->user != NULL ? exec->user->home : settings->home;
	exec->tree = (struct process_tree){
		.pid_fd = -1, .cgroup_fd = exec->cgroup_fd, .slot = exec->session->slot
	};
	exec->started_ms = clock_mono_ms();
	r = exec_spawn_in_cgroup(exec, &options, &failure);
	exec->spawn_stage = failure.stage;
	streams_close_child(&exec->streams);
	if (r < 0)
		exec_refuse_spawn(exec, &failure);
	return r == 0;
}

/* How long the steps may block on a file system that does not answer, which may hold
 * the program, its directory, /etc/passwd or /dev: then the supervisor kills the child; and
 * where that was not it, or does not die, this worker, and tells the host. */
static uint32_t
exec_start_limit_ms(const struct exec *exec)
{
	uint32_t timeout = exec->request.timeout_seconds;

	if (timeout > 0 && timeout < EXEC_SPAWN_MAX_S)
		return timeout * EXEC_MS_PER_S;
	return EXEC_SPAWN_MAX_S * EXEC_MS_PER_S;
}

/* The child was killed, as its start took too long; but may have begun to run just then.
 * One that does not end is left to the supervisor: the worker leaves. */
static void
exec_give_up(struct exec *exec)
{
	struct pollfd end = { .fd = exec->tree.pid_fd, .events = POLLIN };
	struct process_tree_end how;
	struct rusage usage;

	process_tree_kill(&exec->tree);
	(void)poll(&end, 1, EXEC_DEATH_MS);
	if (process_tree_has_ended(&exec->tree, &how))
		process_tree_reap(&exec->tree, &usage);
	atomic_store(&exec->session->slot->child_pid, 0);
	fd_close(&exec->tree.pid_fd);
	exec_refuse_stalled(exec);
}

static bool
exec_start(struct exec *exec)
{
	struct slot *slot = exec->session->slot;
	bool is_started;

	atomic_store(&slot->spawning, SLOT_SPAWNING);
	watchdog_set(exec_start_limit_ms(exec));
	is_started = exec_find_user(exec) && exec_prepare(exec) && exec_enter_cgroup(exec) &&
		     exec_spawn(exec);
	watchdog_set(0);
	exec->was_cut = atomic_exchange(&slot->spawning, SLOT_SPAWN_NONE) == SLOT_SPAWN_CUT;
	if (!is_started || !exec->was_cut)
		return is_started;
	exec_give_up(exec);
	return false;
}

/* ---- while it runs, and after ------------------------------------------ */

/* Lets the program go: from here on it is not this session's. The worker leaves
 * after the session, since it has a child, which is then the supervisor's. */
static void
exec_release(struct exec *exec)
{
	struct slot *slot = exec->session->slot;

	if (detached_enlist(exec->session->board, slot, exec->tree.pid) == NULL) {
		/* Nobody waits for its end here, which a tracer may hide. */
		process_tree_kill(&exec->tree);
		atomic_store(&slot->child_pid, 0);
		fd_close(&exec->tree.pid_fd);
		session_cgroup_leave(exec->session, true);
		session_refuse_exec(exec->session, VMM_GUEST_EXIT_AGENT,
		    "%d detached programs are running already", SCOREBOARD_DETACHED_MAX);
		return;
	}
	atomic_store(&slot->child_pid, 0);
	fd_close(&exec->tree.pid_fd);
	(void)atomic_fetch_add(&exec->session->board->counts.started, 1);
	exec_end_report_started(exec);
	session_send_exit(exec->session, VMM_GUEST_EXIT_OK, 0);
	session_cgroup_leave(exec->session, true);
}

/* What is left of the program: its streams, and itself. One that can't be reaped is
 * left to the supervisor: the worker leaves. */
static void
exec_bury(struct exec *exec, struct relay_end *end, struct rusage *usage)
{
	relay_close();
	if (!end->is_stuck || process_tree_has_ended(&exec->tree, &end->end))
		process_tree_reap(&exec->tree, usage);
	else
		fd_close(&exec->tree.pid_fd);
}

/* To bury takes longer than to send EXIT, and a host that reads need not wait for it.
 * But while one does not read, no zombie stands in the guest. */
static bool
exec_tells_first(const struct exec *exec, const struct relay_end *end)
{
	return !exec->request.report && !end->is_stuck && !end->is_gone &&
	       conn_has_room(&exec->session->conn);
}

static void
exec_end(struct exec *exec, struct relay_end *end)
{
	struct rusage usage = { 0 };
	bool tells_first = exec_tells_first(exec, end);

	if (!tells_first)
		exec_bury(exec, end, &usage);
	exec_end_tell(exec, end, &usage);
	if (tells_first)
		exec_bury(exec, end, &usage);
}

static void
exec_run(struct exec *exec)
{
	struct streams *streams = &exec->streams;
	struct relay_options options = {
		.conn = &exec->session->conn,
		.tree = &exec->tree,
		.stdin_fd = fd_steal(&streams->stdin_fd),
		.stdout_fd = fd_steal(&streams->stdout_fd),
		.stderr_fd = fd_steal(&streams->stderr_fd),
		.tty_fd = fd_steal(&streams->tty_fd),
		.tty_slave_fd = fd_steal(&streams->tty_slave_fd),
		.timeout_ms = (uint64_t)exec->request.timeout_seconds * EXEC_MS_PER_S,
		.grace_ms = (uint64_t)exec->request.kill_grace_seconds * EXEC_MS_PER_S,
	};
	struct relay_end end;

	(void)atomic_fetch_add(&exec->session->board->counts.started, 1);
	exec_end_report_started(exec);
	relay_run(&options, &end);
	exec_end(exec, &end);
	session_cgroup_leave(exec->session, exec->request.limits.have != 0 || end.was_killed);
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
	struct exec exec = {
		.session = session,
		.streams = STREAMS_NONE,
		.tree.pid_fd = -1,
		.cgroup_fd = -1,
	};

	(void)type;
	if (!exec_parse(&exec, payload, len))
		return;
	exec_describe(&exec);
	if (exec_start(&exec))
		exec_attend(&exec);
	else
		session_cgroup_leave(session, exec.request.limits.have != 0 || exec.was_cut);
	streams_close(&exec.streams);
	environment_done(&exec.environment);
	start_done(&exec.request);
}
