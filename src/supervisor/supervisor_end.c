/*
 * supervisor_end: the end of the service, or of the machine.
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "platform/cgroup.h"
#include "platform/clock.h"
#include "platform/log.h"
#include "protocol/control_request.h"
#include "supervisor/released.h"
#include "supervisor/supervisor_state.h"

/* What the sessions, and then the workers, have beyond the grace to end. */
#define SUPERVISOR_WORKERS_MS 3000
#define SUPERVISOR_KILL_ROUNDS 5
#define SUPERVISOR_LOOK_MS 20

/* How many workers wait for the end to answer who asked for it. */
static uint32_t
supervisor_count_askers(const struct supervisor *supervisor)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < supervisor->board->workers; i++)
		count +=
		    strncmp(supervisor->board->slots[i].kind, "shutdown", SCOREBOARD_KIND_MAX) == 0;
	return count;
}

/* Waits until all workers but the askers have left, at most until DEADLINE_MS. */
static void
supervisor_await_sessions(struct supervisor *supervisor, uint64_t deadline_ms)
{
	while (pool_count(&supervisor->pool) > supervisor_count_askers(supervisor) &&
	       clock_mono_ms() < deadline_ms)
		supervisor_wait(supervisor, deadline_ms);
}

/* Lets the askers answer; then every worker is to leave, at most until so long. */
static void
supervisor_await_last_words(struct supervisor *supervisor)
{
	uint64_t deadline = clock_mono_ms() + SUPERVISOR_WORKERS_MS;

	atomic_store(&supervisor->board->shutdown.stage, SCOREBOARD_LAST_WORDS);
	while (pool_count(&supervisor->pool) > 0 && clock_mono_ms() < deadline)
		supervisor_wait(supervisor, deadline);
}

/* Until when what is to end may take its time. */
static uint64_t
supervisor_begin_end(struct supervisor *supervisor)
{
	struct scoreboard_shutdown *shutdown = &supervisor->board->shutdown;
	uint32_t grace_ms = SCOREBOARD_GRACE_MS;

	if (supervisor->stop_signal == SIGUSR2) {
		log_info("shutting down: the host asked for it");
		grace_ms = supervisor->end_grace_ms;
	} else {
		log_info("shutting down: %s", strsignal(supervisor->stop_signal));
	}
	atomic_store(&shutdown->grace_ms, grace_ms);
	atomic_store(&shutdown->stage, SCOREBOARD_ENDING);
	pool_close(&supervisor->pool);
	return clock_mono_ms() + grace_ms;
}

/* As a service: the sessions are ended by their own workers. */
static _Noreturn void
supervisor_leave(struct supervisor *supervisor)
{
	uint64_t deadline = supervisor_begin_end(supervisor);

	(void)readiness_notify(supervisor->settings->notify_socket, "STOPPING=1");
	if (supervisor->is_serving) {
		pool_signal(&supervisor->pool, SIGTERM);
		released_signal_all(supervisor->board, &supervisor->pool, SIGTERM);
		supervisor_await_sessions(supervisor, deadline + SUPERVISOR_WORKERS_MS);
		released_signal_all(supervisor->board, &supervisor->pool, SIGKILL);
		supervisor_await_last_words(supervisor);
		pool_signal(&supervisor->pool, SIGKILL);
		supervisor_await_last_words(supervisor);
		listeners_close(&supervisor->listeners, &supervisor->settings->listen);
	}
	exit(0);
}

static bool
supervisor_is_worker(pid_t pid, void *context)
{
	return pool_owns(context, pid);
}

/* Waits until none but us and the workers is left, at most until DEADLINE_MS. */
static bool
supervisor_await_processes(struct supervisor *supervisor, uint64_t deadline_ms)
{
	while (shutdown_signal_all(0, supervisor_is_worker, &supervisor->pool) > 0) {
		uint64_t now = clock_mono_ms();

		if (now >= deadline_ms)
			return false;
		supervisor_wait(supervisor, now + SUPERVISOR_LOOK_MS);
	}
	return true;
}

/* Kills all but us and the workers. The sessions' cgroup is killed first and whole:
 * a walk through /proc can run after a fork bomb for ever. */
static void
supervisor_kill_processes(struct supervisor *supervisor)
{
	int sessions_fd = supervisor->settings->worker.session.cells_fd;

	for (int i = 0; i < SUPERVISOR_KILL_ROUNDS; i++) {
		if (sessions_fd >= 0)
			(void)cgroup_kill(sessions_fd);
		(void)shutdown_signal_all(SIGKILL, supervisor_is_worker, &supervisor->pool);
		if (supervisor_await_processes(supervisor, clock_mono_ms() + SUPERVISOR_LOOK_MS))
			return;
	}
}

static enum shutdown_action
supervisor_choose_action(const struct supervisor *supervisor)
{
	static const enum shutdown_action asked[] = {
		[CONTROL_REBOOT] = SHUTDOWN_REBOOT,
		[CONTROL_POWEROFF] = SHUTDOWN_POWEROFF,
		[CONTROL_HALT] = SHUTDOWN_HALT,
	};

	if (supervisor->stop_signal == SIGUSR2 &&
	    supervisor->end_action < sizeof(asked) / sizeof(asked[0]))
		return shutdown_resolve(asked[supervisor->end_action]);
	return shutdown_resolve(supervisor->settings->on_exit);
}

/* As PID 1: everything else ends first; the workers see their sessions off. */
static _Noreturn void
supervisor_shut_down(struct supervisor *supervisor)
{
	enum shutdown_action action = supervisor_choose_action(supervisor);
	struct pool *pool = &supervisor->pool;
	uint64_t deadline = supervisor_begin_end(supervisor);

	pool_signal(pool, SIGHUP);
	(void)shutdown_signal_all(SIGTERM, supervisor_is_worker, pool);
	if (!supervisor_await_processes(supervisor, deadline))
		supervisor_kill_processes(supervisor);
	/* Watches and the like have no program whose end they would see. */
	pool_signal(pool, SIGTERM);
	supervisor_await_sessions(supervisor, clock_mono_ms() + SUPERVISOR_WORKERS_MS);
	shutdown_file_systems();
	supervisor_await_last_words(supervisor);
	shutdown_machine(action);
}

_Noreturn void
supervisor_end(struct supervisor *supervisor)
{
	if (supervisor->settings->is_init)
		supervisor_shut_down(supervisor);
	supervisor_leave(supervisor);
}
