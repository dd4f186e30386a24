/*
 * exec: START: a program, run for the host, on pipes or a terminal. How it is started
 * is launch.c's; what happens while it runs, relay.c's.
 *
 * SPDX-License-Identifier: MIT
 */
#include "session/run/exec.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "platform/cgroup.h"
#include "platform/clock.h"
#include "platform/fd.h"
#include "platform/text.h"
#include "protocol/report.h"
#include "protocol/start.h"
#include "session/durable/owner.h"
#include "session/run/exec_durable.h"
#include "session/run/launch.h"
#include "session/run/relay.h"
#include "session/run/session_cgroup.h"
#include "shared/detached.h"

/* Milliseconds in a second, and microseconds in a millisecond. */
#define EXEC_PER_S 1000

#define EXEC_BROKEN "a stream of the program can't be used: %s: the session was killed"

struct exec {
	struct session *session;
	struct start_request request;
	struct program program;
	struct owner owner; /* of a durable session */
	struct relay relay;
};

/* ---- the request ------------------------------------------------------- */

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
	if (exec->request.name[0] != '\0')
		session_set_name(exec->session, exec->request.name);
}

static bool
exec_parse(struct exec *exec, const uint8_t *payload, size_t len)
{
	struct json_error error;

	if (start_parse((const char *)payload, len, &exec->request, &error) == 0)
		return true;
	session_refuse_bad(exec->session, "START", &error);
	return false;
}

/* ---- what the host is told ---------------------------------------------- */

/* The main process died of a SIGKILL that was not ours, and the kernel killed for
 * memory in the cgroup. */
static bool
exec_is_oom(const struct exec *exec, const struct relay_end *end)
{
	return end->reason == RELAY_EXITED && end->end.signaled && end->end.signal == SIGKILL &&
	       !end->was_killed &&
	       session_cgroup_count_oom_kills(exec->program.tree.cgroup_fd) >
		   exec->program.oom_kills;
}

static void
exec_count_end(struct exec *exec, const struct relay_end *end)
{
	struct scoreboard_counts *counts = &exec->session->board->counts;

	if (end->end.signaled)
		(void)atomic_fetch_add(&counts->signaled, 1);
	else
		(void)atomic_fetch_add(&counts->exited, 1);
	if (end->reason == RELAY_TIMEOUT)
		(void)atomic_fetch_add(&counts->timeouts, 1);
	if (exec_is_oom(exec, end))
		(void)atomic_fetch_add(&counts->oom, 1);
}

static const char *
exec_reason(const struct exec *exec, const struct relay_end *end)
{
	static const char *const names[] = {
		[RELAY_EXITED] = "exited",
		[RELAY_TIMEOUT] = "timeout",
		[RELAY_DISCONNECTED] = "disconnected",
		[RELAY_SHUTDOWN] = "shutdown",
		[RELAY_PROTOCOL] = "disconnected",
		[RELAY_BROKEN] = "disconnected",
		[RELAY_ABANDONED] = "abandoned",
	};

	/* As PID 1 the supervisor ends what is in the guest, and we see it end. */
	if (end->reason == RELAY_EXITED &&
	    atomic_load(&exec->session->board->shutdown.stage) >= SCOREBOARD_ENDING)
		return names[RELAY_SHUTDOWN];
	if (exec_is_oom(exec, end))
		return "oom";
	if (end->reason == RELAY_EXITED && end->end.signaled)
		return "signaled";
	return names[end->reason];
}

static uint64_t
exec_to_ms(struct timeval time)
{
	return (uint64_t)time.tv_sec * EXEC_PER_S + (uint64_t)time.tv_usec / EXEC_PER_S;
}

/* Sends one STATUS, if the host asked for them. */
static void
exec_send_status(struct exec *exec, char *text, size_t len)
{
	if (text != NULL)
		(void)conn_send(&exec->session->conn, VMM_GUEST_STATUS, text, len);
	free(text);
}

static void
exec_report_started(struct exec *exec)
{
	const struct report report = { .event = REPORT_STARTED, .pid = exec->program.tree.pid };
	size_t len = 0;
	char *text;

	if (!exec->request.report)
		return;
	text = report_format(&report, &len);
	exec_send_status(exec, text, len);
}

/* Not each kernel counts each: memory.peak is of Linux 5.19, and a service may have
 * been given no controller. */
static void
exec_measure(const struct exec *exec, struct journal_end *how)
{
	how->has_memory_peak = cgroup_read_number(exec->program.tree.cgroup_fd, "memory.peak",
				   &how->memory_peak_bytes) == 0;
	how->has_oom_kills = cgroup_read_key(exec->program.tree.cgroup_fd, "memory.events",
				 "oom_kill", &how->oom_kills) == 0;
	how->oom_kills -= how->has_oom_kills ? exec->program.oom_kills : 0;
}

static void
exec_describe_end(const struct exec *exec, const struct relay_end *end, const struct rusage *usage,
    struct journal_end *ret)
{
	*ret = (struct journal_end){
		.code = end->end.signaled ? VMM_GUEST_EXIT_SIGNAL_BASE + end->end.signal
					  : end->end.code,
		.signal = end->end.signal,
		.has_numbers = true,
		.wall_ms = clock_shared_ms() - exec->program.started_ms,
		.user_ms = exec_to_ms(usage->ru_utime),
		.system_ms = exec_to_ms(usage->ru_stime),
		.max_rss_kb = (uint64_t)usage->ru_maxrss,
		.output_held = end->output_held,
	};
	(void)strlcpy(ret->reason, exec_reason(exec, end), sizeof(ret->reason));
	if (exec->program.tree.cgroup_fd >= 0)
		exec_measure(exec, ret);
}

static void
exec_report_exited(struct exec *exec, const struct relay_end *end, const struct rusage *usage)
{
	struct journal_end how;
	struct report report;
	size_t len = 0;
	char *text;

	if (!exec->request.report)
		return;
	exec_describe_end(exec, end, usage, &how);
	follow_read_end(&how, &report);
	text = report_format(&report, &len);
	exec_send_status(exec, text, len);
}

static void
exec_send_exit(struct exec *exec, const struct relay_end *end)
{
	int code = end->end.code;

	if (end->reason == RELAY_PROTOCOL) {
		session_refuse_exec(exec->session, VMM_GUEST_EXIT_AGENT,
		    "a frame was announced with more than %u bytes: the session was killed",
		    VMM_GUEST_FRAME_MAX);
		return;
	}
	if (end->error < 0) {
		session_refuse_exec(
		    exec->session, VMM_GUEST_EXIT_AGENT, EXEC_BROKEN, strerror(-end->error));
		return;
	}
	if (end->end.signaled)
		code = VMM_GUEST_EXIT_SIGNAL_BASE + end->end.signal;
	session_send_exit(exec->session, code, end->end.signal);
}

static void
exec_tell_end(struct exec *exec, const struct relay_end *end, const struct rusage *usage)
{
	exec_count_end(exec, end);
	if (end->is_gone)
		return;
	exec_report_exited(exec, end, usage);
	exec_send_exit(exec, end);
}

/* ---- while it runs, and after ------------------------------------------ */

/* Lets the program go: from here on it is not this session's. The worker leaves
 * after the session, since it has a child, which is then the supervisor's. */
static void
exec_detach(struct exec *exec)
{
	struct slot *slot = exec->session->slot;

	if (detached_enlist(exec->session->board, slot, exec->program.tree.pid) == NULL) {
		/* Nobody waits for its end here, which a tracer may hide. */
		process_tree_kill(&exec->program.tree);
		atomic_store(&slot->child_pid, 0);
		fd_close(&exec->program.tree.pid_fd);
		session_cgroup_leave(exec->session, true);
		session_refuse_exec(exec->session, VMM_GUEST_EXIT_AGENT,
		    "%d detached programs are running already", SCOREBOARD_DETACHED_MAX);
		return;
	}
	atomic_store(&slot->child_pid, 0);
	fd_close(&exec->program.tree.pid_fd);
	(void)atomic_fetch_add(&exec->session->board->counts.started, 1);
	exec_report_started(exec);
	session_send_exit(exec->session, VMM_GUEST_EXIT_OK, 0);
	session_cgroup_leave(exec->session, true);
}

/* What is left of the program: its streams, and itself. One that can't be reaped is
 * left to the supervisor: the worker leaves. */
static void
exec_bury(struct exec *exec, struct relay_end *end, struct rusage *usage)
{
	relay_close(&exec->relay);
	if (!end->is_stuck || process_tree_has_ended(&exec->program.tree, &end->end))
		process_tree_reap(&exec->program.tree, usage);
	else
		fd_close(&exec->program.tree.pid_fd);
}

/* To bury takes longer than to send EXIT, and a host that reads need not wait for it.
 * But while one does not read, no zombie stands in the guest. */
static bool
exec_tells_first(const struct exec *exec, const struct relay_end *end)
{
	return !exec->request.report && !end->is_stuck && !end->is_gone &&
	       conn_has_room(&exec->session->conn);
}

/* Of a durable session the end is kept, with the program reaped before. */
static void
exec_end_durable(struct exec *exec, struct relay_end *end)
{
	struct rusage usage = { 0 };
	struct journal_end how;

	exec_bury(exec, end, &usage);
	exec_count_end(exec, end);
	exec_describe_end(exec, end, &usage, &how);
	if (end->error < 0) {
		how.code = VMM_GUEST_EXIT_AGENT;
		how.signal = 0;
		(void)text_format(how.words, sizeof(how.words), EXEC_BROKEN, strerror(-end->error));
	}
	owner_finish(&exec->owner, &how);
}

/* The host that the session was started by gets all of it, if it is there still. */
static void
exec_see_off(struct exec *exec)
{
	if (!owner_see_off(&exec->owner))
		session_refuse_exec(exec->session, VMM_GUEST_EXIT_AGENT,
		    "the session was forgotten before all of its output was taken");
	owner_done(&exec->owner);
}

static void
exec_end(struct exec *exec, struct relay_end *end)
{
	struct rusage usage = { 0 };
	bool tells_first = exec_tells_first(exec, end);

	if (!tells_first)
		exec_bury(exec, end, &usage);
	exec_tell_end(exec, end, &usage);
	if (tells_first)
		exec_bury(exec, end, &usage);
	session_cgroup_spend(exec->session, &usage);
}

static void
exec_begin(struct exec *exec)
{
	const struct start_request *request = &exec->request;
	const struct owner_start start = {
		.pid = exec->program.tree.pid,
		.takes_input = request->stdin_open,
		.report = request->report,
		.columns = request->tty ? request->tty_width : 0,
		.rows = request->tty ? request->tty_height : 0,
	};

	if (request->is_durable)
		owner_begin(&exec->owner, &start);
	else
		exec_report_started(exec);
}

static void
exec_run(struct exec *exec)
{
	struct streams *streams = &exec->program.streams;
	struct relay_options options = {
		.conn = &exec->session->conn,
		.duplicates_fd = exec->session->duplicates_fd,
		.owner = exec->request.is_durable ? &exec->owner : NULL,
		.tree = &exec->program.tree,
		.stdin_fd = fd_steal(&streams->stdin_fd),
		.stdout_fd = fd_steal(&streams->stdout_fd),
		.stderr_fd = fd_steal(&streams->stderr_fd),
		.tty_fd = fd_steal(&streams->tty_fd),
		.tty_slave_fd = fd_steal(&streams->tty_slave_fd),
		.timeout_ms = (uint64_t)exec->request.timeout_seconds * EXEC_PER_S,
		.grace_ms = (uint64_t)exec->request.kill_grace_seconds * EXEC_PER_S,
	};
	struct relay_end end;

	(void)atomic_fetch_add(&exec->session->board->counts.started, 1);
	exec_begin(exec);
	relay_run(&exec->relay, &options, &end);
	if (options.owner != NULL)
		exec_end_durable(exec, &end);
	else
		exec_end(exec, &end);
	session_cgroup_leave(exec->session, exec->request.limits.have != 0 || end.was_killed);
	if (options.owner != NULL)
		exec_see_off(exec);
}

void
exec_serve(struct session *session, uint8_t type, const uint8_t *payload, size_t len)
{
	struct launch_refusal refusal;
	struct exec exec;

	(void)type;
	exec.session = session;
	if (!exec_parse(&exec, payload, len))
		return;
	exec_describe(&exec);
	/* A host may pause for as long as it likes. */
	conn_be_patient(&session->conn);
	if (exec.request.is_durable && !exec_durable_claim(session, &exec.request, &exec.owner)) {
		start_done(&exec.request);
		return;
	}
	if (!launch_program(session, &exec.request, &exec.program, &refusal)) {
		if (exec.request.is_durable)
			exec_durable_unclaim(&exec.owner);
		session_refuse_exec(session, refusal.code, "%s", refusal.words);
	} else {
		if (exec.request.detach)
			exec_detach(&exec);
		else
			exec_run(&exec);
		streams_close(&exec.program.streams);
	}
	start_done(&exec.request);
}
