/*
 * exec_end: how a program's session ended: counted, reported, and said in EXIT.
 *
 * SPDX-License-Identifier: MIT
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "platform/cgroup.h"
#include "platform/clock.h"
#include "protocol/report.h"
#include "session/run/session_cgroup.h"
#include "session/run/exec_state.h"

/* Milliseconds in a second, and microseconds in a millisecond. */
#define EXEC_END_PER_S 1000

/* The main process died of a SIGKILL that was not ours, and the kernel killed for
 * memory in the cell. */
static bool
exec_end_is_oom(const struct exec *exec, const struct relay_end *end)
{
	return end->reason == RELAY_EXITED && end->end.signaled && end->end.signal == SIGKILL &&
	       !end->was_killed &&
	       session_cgroup_count_oom_kills(exec->cgroup_fd) > exec->oom_kills;
}

static void
exec_end_count(struct exec *exec, const struct relay_end *end)
{
	struct scoreboard_counts *counts = &exec->session->board->counts;

	if (end->end.signaled)
		(void)atomic_fetch_add(&counts->signaled, 1);
	else
		(void)atomic_fetch_add(&counts->exited, 1);
	if (end->reason == RELAY_TIMEOUT)
		(void)atomic_fetch_add(&counts->timeouts, 1);
	if (exec_end_is_oom(exec, end))
		(void)atomic_fetch_add(&counts->oom, 1);
}

static const char *
exec_end_reason(const struct exec *exec, const struct relay_end *end)
{
	static const char *const names[] = {
		[RELAY_EXITED] = "exited",
		[RELAY_TIMEOUT] = "timeout",
		[RELAY_DISCONNECTED] = "disconnected",
		[RELAY_SHUTDOWN] = "shutdown",
		[RELAY_PROTOCOL] = "disconnected",
		[RELAY_BROKEN] = "disconnected",
	};

	/* As PID 1 the supervisor ends what is in the guest, and we see it end. */
	if (end->reason == RELAY_EXITED &&
	    atomic_load(&exec->session->board->shutdown.stage) >= SCOREBOARD_ENDING)
		return names[RELAY_SHUTDOWN];
	if (exec_end_is_oom(exec, end))
		return "oom";
	if (end->reason == RELAY_EXITED && end->end.signaled)
		return "signaled";
	return names[end->reason];
}

static uint64_t
exec_end_to_ms(struct timeval time)
{
	return (uint64_t)time.tv_sec * EXEC_END_PER_S + (uint64_t)time.tv_usec / EXEC_END_PER_S;
}

/* Sends one STATUS, if the host asked for them. */
static void
exec_end_send_status(struct exec *exec, char *text, size_t len)
{
	if (text != NULL)
		(void)conn_send(&exec->session->conn, VMM_GUEST_STATUS, text, len, -1);
	free(text);
}

void
exec_end_report_started(struct exec *exec)
{
	size_t len = 0;
	char *text;

	if (!exec->request.report)
		return;
	text = report_started_format(exec->tree.pid, &len);
	exec_end_send_status(exec, text, len);
}

/* Not each kernel counts each: memory.peak is of Linux 5.19, and a service may have
 * been given no controller. */
static void
exec_end_measure(const struct exec *exec, struct report_exited *report)
{
	report->has_memory_peak =
	    cgroup_read_number(exec->cgroup_fd, "memory.peak", &report->memory_peak_bytes) == 0;
	report->has_oom_kills =
	    cgroup_read_key(exec->cgroup_fd, "memory.events", "oom_kill", &report->oom_kills) == 0;
	report->oom_kills -= report->has_oom_kills ? exec->oom_kills : 0;
}

static void
exec_end_report_exited(struct exec *exec, const struct relay_end *end, const struct rusage *usage)
{
	struct report_exited report = {
		.code = end->end.signaled ? VMM_GUEST_EXIT_SIGNAL_BASE + end->end.signal
					  : end->end.code,
		.signal = end->end.signal,
		.reason = exec_end_reason(exec, end),
		.wall_ms = clock_mono_ms() - exec->started_ms,
		.user_ms = exec_end_to_ms(usage->ru_utime),
		.system_ms = exec_end_to_ms(usage->ru_stime),
		.max_rss_kb = (uint64_t)usage->ru_maxrss,
		.output_held = end->output_held,
	};
	size_t len = 0;
	char *text;

	if (!exec->request.report)
		return;
	if (exec->cgroup_fd >= 0)
		exec_end_measure(exec, &report);
	text = report_exited_format(&report, &len);
	exec_end_send_status(exec, text, len);
}

static void
exec_end_send_exit(struct exec *exec, const struct relay_end *end)
{
	int code = end->end.code;

	if (end->reason == RELAY_PROTOCOL) {
		session_refuse_exec(exec->session, VMM_GUEST_EXIT_AGENT,
		    "a frame was announced with more than %u bytes: the session was killed",
		    VMM_GUEST_FRAME_MAX);
		return;
	}
	if (end->reason == RELAY_BROKEN) {
		session_refuse_exec(exec->session, VMM_GUEST_EXIT_AGENT,
		    "a stream of the program can't be used: %s: the session was killed",
		    strerror(-end->error));
		return;
	}
	if (end->end.signaled)
		code = VMM_GUEST_EXIT_SIGNAL_BASE + end->end.signal;
	session_send_exit(exec->session, code, end->end.signal);
}

void
exec_end_tell(struct exec *exec, const struct relay_end *end, const struct rusage *usage)
{
	exec_end_count(exec, end);
	if (end->is_gone)
		return;
	exec_end_report_exited(exec, end, usage);
	exec_end_send_exit(exec, end);
}
