/*
 * launch: from a request to a running program.
 *
 * SPDX-License-Identifier: MIT
 */
#include "session/run/launch.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "platform/clock.h"
#include "platform/fd.h"
#include "platform/spawn.h"
#include "platform/text.h"
#include "platform/watchdog.h"
#include "session/rest.h"
#include "session/run/environment.h"
#include "session/run/session_cgroup.h"
#include "session/stop.h"

#define LAUNCH_MS_PER_S 1000
#define LAUNCH_RLIMITS_MAX 4
#define LAUNCH_MAX_S 10

/* For a child that was killed to end. */
#define LAUNCH_DEATH_MS 1000

struct launch {
	struct session *session;
	const struct start_request *request;
	const struct run_as *user; /* NULL: the agent's own */
	struct environment environment;
	struct program *program;
	struct launch_refusal *refusal;
	enum spawn_stage spawn_stage; /* that the child was in last */
};

/* A user's groups and paths are too much for the stack, and one session runs at
 * a time. */
static struct run_as launch_user;

/* ---- refusals, in words that a person can act on ------------------------ */

static void __attribute__((format(printf, 3, 4)))
launch_refuse(struct launch *launch, int code, const char *format, ...)
{
	va_list args;

	launch->refusal->code = code;
	va_start(args, format);
	(void)text_format_args(
	    launch->refusal->words, sizeof(launch->refusal->words), format, args);
	va_end(args);
}

static const char *
launch_refuse_problem_text(enum spawn_exec_problem problem)
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
launch_refuse_program(struct launch *launch, const struct spawn_failure *failure)
{
	const char *text = launch_refuse_problem_text(failure->problem);
	int code = VMM_GUEST_EXIT_CANNOT_RUN;

	if (failure->problem == SPAWN_EXEC_NOT_FOUND)
		code = VMM_GUEST_EXIT_NOT_FOUND;
	if (failure->error == ENOMEM || failure->error == EAGAIN)
		code = VMM_GUEST_EXIT_AGENT;
	launch_refuse(launch, code, "can't run '%.200s': %s", launch->request->argv[0],
	    text != NULL ? text : strerror(failure->error));
}

static const char *
launch_refuse_rlimit_name(int resource)
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

static void
launch_refuse_stalled(struct launch *launch)
{
	(void)atomic_fetch_add(&launch->session->board->counts.stalled, 1);
	if (launch->spawn_stage == SPAWN_WORKING_DIR)
		launch_refuse(launch, VMM_GUEST_EXIT_CANNOT_RUN,
		    "can't enter working_dir '%.200s': its file system does not answer",
		    launch->request->working_dir);
	else
		launch_refuse(launch, VMM_GUEST_EXIT_CANNOT_RUN,
		    "can't run '%.200s': it is being changed (somebody holds a lease on it), "
		    "or its file system does not answer",
		    launch->request->argv[0]);
}

static void
launch_refuse_spawn(struct launch *launch, const struct spawn_failure *failure)
{
	const char *error = strerror(failure->error);

	switch (failure->stage) {
	case SPAWN_EXEC:
		launch_refuse_program(launch, failure);
		break;
	case SPAWN_WORKING_DIR:
		launch_refuse(launch, VMM_GUEST_EXIT_CANNOT_RUN,
		    "can't enter working_dir '%.200s': %s", launch->request->working_dir, error);
		break;
	case SPAWN_USER:
		launch_refuse(launch, VMM_GUEST_EXIT_CANNOT_RUN, "can't become user '%.64s': %s",
		    launch->request->user, error);
		break;
	case SPAWN_RLIMIT:
		launch_refuse(launch, VMM_GUEST_EXIT_AGENT, "limit '%s' can't be had: %s",
		    launch_refuse_rlimit_name(failure->detail), error);
		break;
	case SPAWN_OK:
	case SPAWN_CLONE:
	case SPAWN_SETUP:
		launch_refuse(launch, VMM_GUEST_EXIT_AGENT, "can't start a process: %s", error);
		break;
	}
}

/* ---- the steps --------------------------------------------------------- */

/* Each step returns true, or false when it has refused the session. */

static bool
launch_find_user(struct launch *launch)
{
	const char *problem;
	int r;

	if (launch->request->user[0] == '\0')
		return true;
	r = users_lookup(USERS_DIRECTORY, launch->request->user, &launch_user, &problem);
	if (r < 0) {
		launch_refuse(launch, VMM_GUEST_EXIT_CANNOT_RUN, "user '%.64s': %s",
		    launch->request->user, problem);
		return false;
	}
	launch->user = &launch_user;
	return true;
}

static bool
launch_prepare(struct launch *launch)
{
	const struct session_settings *settings = launch->session->settings;
	struct streams *streams = &launch->program->streams;
	const char *what;
	int r = environment_make_given(launch->session->board, launch->request, launch->user,
	    settings->home, settings->term, &launch->environment);

	if (r < 0) {
		launch_refuse(launch, VMM_GUEST_EXIT_AGENT,
		    "can't make the program's environment: %s", strerror(-r));
		return false;
	}
	r = streams_open(launch->request, launch->user, streams, &what);
	if (r < 0)
		launch_refuse(launch, VMM_GUEST_EXIT_AGENT, "can't open %s for the program: %s",
		    what, strerror(-r));
	return r == 0;
}

/* What is measured or limited has a cgroup of its own: the peak of its memory can't
 * be reset on most kernels. */
static bool
launch_needs_fresh_cgroup(const struct launch *launch)
{
	return launch->request->limits.have != 0 || launch->request->report ||
	       launch->request->detach || launch->request->is_durable;
}

static bool
launch_enter_cgroup(struct launch *launch)
{
	const struct start_limits *limits = &launch->request->limits;
	enum start_limit limit;
	int r = session_cgroup_enter(
	    launch->session, launch_needs_fresh_cgroup(launch), &launch->program->tree.cgroup_fd);

	if (r < 0) {
		launch_refuse(launch, VMM_GUEST_EXIT_AGENT,
		    "can't make a cgroup for the session: %s", strerror(-r));
		return false;
	}
	r = session_cgroup_set_limits(launch->program->tree.cgroup_fd, limits, &limit);
	if (r < 0) {
		launch_refuse(launch, VMM_GUEST_EXIT_AGENT, "limit '%s' can't be had: %s",
		    start_limit_name(limit),
		    r == -ENOENT || r == -ENOTSUP ? "the guest has no such cgroup controller"
						  : strerror(-r));
		return false;
	}
	launch->program->oom_kills =
	    session_cgroup_count_oom_kills(launch->program->tree.cgroup_fd);
	return true;
}

/* The limits of a process: the agent's raised one is put back, then what the host
 * asked for. Returns how many. */
static size_t
launch_collect_rlimits(const struct launch *launch, struct spawn_rlimit *rlimits)
{
	static const struct {
		enum start_limit limit;
		unsigned resource;
	} table[] = {
		{ START_LIMIT_NOFILE, RLIMIT_NOFILE },
		{ START_LIMIT_CORE_BYTES, RLIMIT_CORE },
		{ START_LIMIT_FSIZE_BYTES, RLIMIT_FSIZE },
	};
	const struct start_limits *limits = &launch->request->limits;
	const struct rlimit *nofile = &launch->session->settings->nofile;
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

/* No program is being born while the guest is quiesced: what the switch has not seen of us,
 * when it looked whether there is one, we see of it here. */
static bool
launch_await_thaw(struct launch *launch)
{
	struct slot *slot = launch->session->slot;

	while (rest_is_due_now()) {
		if (stop_is_now()) {
			launch_refuse(launch, VMM_GUEST_EXIT_AGENT, "the agent is stopping");
			return false;
		}
		atomic_store(&slot->spawning, SLOT_SPAWN_NONE);
		rest_point();
		atomic_store(&slot->spawning, SLOT_SPAWNING);
	}
	return true;
}

/* Starts the program, if need be in another cgroup: a session before this one may have
 * made the kept one a cgroup that no process can be born in. */
static int
launch_spawn_in_cgroup(
    struct launch *launch, struct spawn_options *options, struct spawn_failure *ret_failure)
{
	int r = spawn_run(
	    options, &launch->program->tree.pid, &launch->program->tree.pid_fd, ret_failure);

	if (r == 0 || ret_failure->stage != SPAWN_CLONE || launch->program->tree.cgroup_fd < 0 ||
	    launch_needs_fresh_cgroup(launch) ||
	    session_cgroup_enter(launch->session, true, &launch->program->tree.cgroup_fd) < 0)
		return r;
	options->cgroup_fd = launch->program->tree.cgroup_fd;
	launch->program->oom_kills = 0;
	return spawn_run(
	    options, &launch->program->tree.pid, &launch->program->tree.pid_fd, ret_failure);
}

static bool
launch_spawn(struct launch *launch)
{
	const struct session_settings *settings = launch->session->settings;
	const char *dir = launch->request->working_dir;
	bool at_home = strcmp(dir, "~") == 0;
	struct spawn_rlimit rlimits[LAUNCH_RLIMITS_MAX];
	struct spawn_options options = {
		.argv = launch->request->argv,
		.envp = (const char *const *)launch->environment.variables,
		.path = launch->environment.path,
		.working_dir = dir[0] != '\0' ? dir : "/",
		.working_dir_optional = at_home,
		.user = launch->user,
		.stdin_fd = launch->program->streams.child[0],
		.stdout_fd = launch->program->streams.child[1],
		.stderr_fd = launch->program->streams.child[2],
		.tty_fd = launch->program->streams.tty_slave_fd,
		.rlimits = rlimits,
		.rlimits_count = launch_collect_rlimits(launch, rlimits),
		.cgroup_fd = launch->program->tree.cgroup_fd,
		.child_pid = &launch->session->slot->child_pid,
	};
	struct spawn_failure failure;
	int r;

	if (at_home)
		options.working_dir = launch->user != NULL ? launch->user->home : settings->home;
	launch->program->started_ms = clock_shared_ms();
	r = launch_spawn_in_cgroup(launch, &options, &failure);
	launch->spawn_stage = failure.stage;
	streams_close_child(&launch->program->streams);
	if (r < 0)
		launch_refuse_spawn(launch, &failure);
	return r == 0;
}

/* How long the steps may block on a file system that does not answer, which may hold
 * the program, its directory, /etc/passwd or /dev: then the supervisor kills the child; and
 * where that was not it, or does not die, this worker, and tells the host. */
static uint32_t
launch_limit_ms(const struct launch *launch)
{
	uint32_t timeout = launch->request->timeout_seconds;

	if (timeout > 0 && timeout < LAUNCH_MAX_S)
		return timeout * LAUNCH_MS_PER_S;
	return LAUNCH_MAX_S * LAUNCH_MS_PER_S;
}

/* The child was killed, as its start took too long; but may have begun to run just then.
 * One that does not end is left to the supervisor: the worker leaves. */
static void
launch_give_up(struct launch *launch)
{
	struct pollfd end = { .fd = launch->program->tree.pid_fd, .events = POLLIN };
	struct process_tree_end how;
	struct rusage usage;

	process_tree_kill(&launch->program->tree);
	(void)poll(&end, 1, LAUNCH_DEATH_MS);
	if (process_tree_has_ended(&launch->program->tree, &how))
		process_tree_reap(&launch->program->tree, &usage);
	atomic_store(&launch->session->slot->child_pid, 0);
	fd_close(&launch->program->tree.pid_fd);
	launch_refuse_stalled(launch);
}

/* The steps, one after the other. *RET_WAS_CUT: they took too long. */
static bool
launch_run(struct launch *launch, bool *ret_was_cut)
{
	struct slot *slot = launch->session->slot;
	bool is_started;

	atomic_store(&slot->spawning, SLOT_SPAWNING);
	watchdog_set(launch_limit_ms(launch));
	is_started = launch_find_user(launch) && launch_prepare(launch) &&
		     launch_enter_cgroup(launch) && launch_await_thaw(launch) &&
		     launch_spawn(launch);
	watchdog_set(0);
	*ret_was_cut = atomic_exchange(&slot->spawning, SLOT_SPAWN_NONE) == SLOT_SPAWN_CUT;
	if (!is_started || !*ret_was_cut)
		return is_started;
	launch_give_up(launch);
	return false;
}

bool
launch_program(struct session *session, const struct start_request *request, struct program *ret,
    struct launch_refusal *ret_refusal)
{
	struct launch launch = {
		.session = session,
		.request = request,
		.program = ret,
		.refusal = ret_refusal,
	};
	bool was_cut;
	bool is_started;

	*ret = (struct program){
		.tree = { .pid_fd = -1, .cgroup_fd = -1, .slot = session->slot },
		.streams = STREAMS_NONE,
	};
	is_started = launch_run(&launch, &was_cut);
	environment_done(&launch.environment);
	if (!is_started) {
		session_cgroup_leave(session, request->limits.have != 0 || was_cut);
		streams_close(&ret->streams);
	}
	return is_started;
}
