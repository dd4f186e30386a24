/*
 * ending: the stages, and the step from one to the next.
 *
 * SPDX-License-Identifier: MIT
 */
#include "supervisor/ending.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "platform/cgroup.h"
#include "platform/clock.h"
#include "platform/log.h"
#include "protocol/control_request.h"
#include "supervisor/detached_child.h"

/* The time that the sessions, and then the workers, have to end beyond the grace. */
#define ENDING_WORKERS_MS 3000

#define ENDING_SYNC_MS 10000
#define ENDING_THAW_MS 2000

/* The time that the guest's own program has to tell its init, and then the init to tell us. */
#define ENDING_PROGRAM_MS 10000
#define ENDING_INIT_MS 30000

#define ENDING_KILL_ROUNDS 5

/* Between two looks for something that no event tells of. */
#define ENDING_LOOK_MS 20

struct ending_stage {
	void (*begin)(struct supervisor *supervisor);	/* NULL: nothing is to be done */
	bool (*is_over)(struct supervisor *supervisor); /* NULL: begin() does not return */
	uint32_t max_ms;				/* it lasts no longer */
	bool has_grace;					/* which goes before max_ms */
	uint8_t look_ms;  /* between two looks whether it is over; 0: we are woken */
	uint8_t rounds;	  /* how often it is begun at most, while it is not over; 0 is 1 */
	const char *late; /* what the log says where it was not over in time, or NULL */
};

/* ---- what is waited for -------------------------------------------------- */

static uint32_t
ending_count_askers(const struct supervisor *supervisor)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < supervisor->board->workers; i++)
		count += atomic_load(&supervisor->board->slots[i].asks_end) != 0;
	return count;
}

/* All workers have left but those whose host asked for the end, and awaits an answer. */
static bool
ending_have_sessions_left(struct supervisor *supervisor)
{
	return pool_count(&supervisor->pool) <= ending_count_askers(supervisor);
}

static bool
ending_have_workers_left(struct supervisor *supervisor)
{
	return pool_count(&supervisor->pool) == 0;
}

static bool
ending_is_worker(pid_t pid, void *context)
{
	return pool_owns(context, pid);
}

/* None but us and the workers is left. */
static bool
ending_have_processes_left(struct supervisor *supervisor)
{
	return shutdown_signal_all(0, ending_is_worker, &supervisor->pool) == 0;
}

static bool
ending_is_thawed(struct supervisor *supervisor)
{
	return !supervisor->quiesce.is_on;
}

static bool
ending_is_synced(struct supervisor *supervisor)
{
	return shutdown_is_synced(supervisor->ending.sync_pid);
}

static bool
ending_has_program_ended(struct supervisor *supervisor)
{
	return supervisor->ending.program_pid == 0;
}

/* Where the guest goes down, its init ends its services, and us among them. */
static bool
ending_is_init_heard(struct supervisor *supervisor)
{
	return !supervisor->ending.is_obeyed || supervisor->stop_signal != SUPERVISOR_IS_ASKED;
}

/* ---- what is done ---------------------------------------------------------- */

static void
ending_end_sessions(struct supervisor *supervisor)
{
	pool_signal(&supervisor->pool, SIGTERM);
	detached_child_signal_all(supervisor->board, &supervisor->pool, SIGTERM);
}

/* Lets the askers answer, which wait for a signal; then every worker is to leave. */
static void
ending_allow_last_words(struct supervisor *supervisor)
{
	const struct ending *ending = &supervisor->ending;

	atomic_store(&supervisor->board->shutdown.stage,
	    ending->ends_guest && !ending->is_obeyed ? SCOREBOARD_REFUSED : SCOREBOARD_LAST_WORDS);
	pool_signal(&supervisor->pool, SIGHUP);
}

static void
ending_kill_detached(struct supervisor *supervisor)
{
	struct ending *ending = &supervisor->ending;

	detached_child_signal_all(supervisor->board, &supervisor->pool, SIGKILL);
	if (ending->ends_guest)
		ending->program_pid = shutdown_ask_init(ending->action);
}

static void
ending_kill_workers(struct supervisor *supervisor)
{
	pool_signal(&supervisor->pool, SIGKILL);
}

static void
ending_exit(struct supervisor *supervisor)
{
	if (supervisor->is_serving)
		listeners_close(&supervisor->listeners, &supervisor->settings->listen);
	exit(0);
}

/* The workers see their sessions off. */
static void
ending_terminate_all(struct supervisor *supervisor)
{
	pool_signal(&supervisor->pool, SIGHUP);
	(void)shutdown_signal_all(SIGTERM, ending_is_worker, &supervisor->pool);
}

/* Kills all but us and the workers. The sessions' cgroup is killed first and whole:
 * a walk through /proc can run after a fork bomb for ever. */
static void
ending_kill_all(struct supervisor *supervisor)
{
	int sessions_fd = supervisor->settings->worker.session.session_cgroups_fd;

	if (sessions_fd >= 0)
		(void)cgroup_kill(sessions_fd);
	(void)shutdown_signal_all(SIGKILL, ending_is_worker, &supervisor->pool);
}

/* Watches and the like have no program whose end they would see. */
static void
ending_end_watches(struct supervisor *supervisor)
{
	pool_signal(&supervisor->pool, SIGTERM);
}

static void
ending_sync(struct supervisor *supervisor)
{
	supervisor->ending.sync_pid = shutdown_sync();
}

static void
ending_end_machine(struct supervisor *supervisor)
{
	shutdown_machine(supervisor->ending.action);
}

/* ---- the stages ------------------------------------------------------------ */

#define ENDING_THAW                                                                                \
	{                                                                                          \
		.begin = supervisor_quiesce_shut, .is_over = ending_is_thawed,                     \
		.max_ms = ENDING_THAW_MS,                                                          \
		.late = "a file system does not thaw: going on without it"                         \
	}

/* As a service: the sessions are ended by their own workers. */
static const struct ending_stage ending_of_service[] = {
	ENDING_THAW,
	{ .begin = ending_end_sessions,
	    .is_over = ending_have_sessions_left,
	    .has_grace = true,
	    .max_ms = ENDING_WORKERS_MS },
	{ .begin = ending_kill_detached,
	    .is_over = ending_has_program_ended,
	    .max_ms = ENDING_PROGRAM_MS,
	    .late = "the program that tells the guest's init hangs: going on without it" },
	{ .begin = ending_allow_last_words,
	    .is_over = ending_have_workers_left,
	    .max_ms = ENDING_WORKERS_MS },
	{ .begin = ending_kill_workers,
	    .is_over = ending_have_workers_left,
	    .max_ms = ENDING_WORKERS_MS },
	/* A manager that saw us exit first would start us again. */
	{ .is_over = ending_is_init_heard,
	    .max_ms = ENDING_INIT_MS,
	    .late = "the guest's init does not end us: going on without it" },
	{ .begin = ending_exit },
};

/* As PID 1: everything else ends first. */
static const struct ending_stage ending_of_machine[] = {
	ENDING_THAW,
	{ .begin = ending_terminate_all,
	    .is_over = ending_have_processes_left,
	    .has_grace = true,
	    .look_ms = ENDING_LOOK_MS },
	{ .begin = ending_kill_all,
	    .is_over = ending_have_processes_left,
	    .max_ms = ENDING_LOOK_MS,
	    .rounds = ENDING_KILL_ROUNDS },
	{ .begin = ending_end_watches,
	    .is_over = ending_have_sessions_left,
	    .max_ms = ENDING_WORKERS_MS },
	{ .begin = ending_sync,
	    .is_over = ending_is_synced,
	    .max_ms = ENDING_SYNC_MS,
	    .late = "sync hangs: going on without it" },
	{ .begin = ending_allow_last_words,
	    .is_over = ending_have_workers_left,
	    .max_ms = ENDING_WORKERS_MS },
	{ .begin = ending_end_machine },
};

/* ---- from one to the next -------------------------------------------------- */

static enum shutdown_action
ending_choose_action(const struct supervisor *supervisor)
{
	static const enum shutdown_action asked[] = {
		[CONTROL_REBOOT] = SHUTDOWN_REBOOT,
		[CONTROL_POWEROFF] = SHUTDOWN_POWEROFF,
		[CONTROL_HALT] = SHUTDOWN_HALT,
		[CONTROL_AUTO] = SHUTDOWN_AUTO,
	};
	enum shutdown_action action = shutdown_signal_action(supervisor->stop_signal);

	if (supervisor->stop_signal == SUPERVISOR_IS_ASKED &&
	    supervisor->end_action < sizeof(asked) / sizeof(asked[0]))
		return shutdown_resolve(asked[supervisor->end_action]);
	return shutdown_resolve(action != SHUTDOWN_AUTO ? action : supervisor->settings->on_exit);
}

/* Never where we listen on a Unix socket: that is a test, and its host would go down. */
static bool
ending_ends_guest(const struct supervisor *supervisor)
{
	return supervisor->settings->ends_guest &&
	       supervisor->settings->listen.kind == ADDRESS_VSOCK &&
	       supervisor->stop_signal == SUPERVISOR_IS_ASKED;
}

static void
ending_enter(struct supervisor *supervisor, const struct ending_stage *stage)
{
	struct ending *ending = &supervisor->ending;
	uint64_t from = clock_mono_ms() + (stage->has_grace ? ending->grace_ms : 0);

	ending->rounds = stage == ending->stage ? ending->rounds + 1 : 1;
	ending->stage = stage;
	ending->until_ms = from + stage->max_ms;
	if (stage->begin != NULL)
		stage->begin(supervisor);
}

static void
ending_begin(struct supervisor *supervisor)
{
	struct scoreboard_shutdown *shutdown = &supervisor->board->shutdown;
	bool is_init = supervisor->settings->is_init;
	uint32_t grace_ms = SCOREBOARD_GRACE_MS;

	if (supervisor->stop_signal == SUPERVISOR_IS_ASKED)
		grace_ms = supervisor->end_grace_ms;
	supervisor->ending.grace_ms = grace_ms;
	supervisor->ending.ends_guest = !is_init && ending_ends_guest(supervisor);
	if (is_init || supervisor->ending.ends_guest)
		supervisor->ending.action = ending_choose_action(supervisor);
	/* A manager that hears it sends no SIGTERM any more, which is what we wait for then. */
	if (!is_init && !supervisor->ending.ends_guest)
		(void)readiness_notify(supervisor->settings->notify_socket, "STOPPING=1");
	atomic_store(&shutdown->grace_ms, grace_ms);
	atomic_store(&shutdown->stage, SCOREBOARD_ENDING);
	/* Once it is said, nobody is served who comes. */
	log_info("shutting down: %s", supervisor->stop_signal == SUPERVISOR_IS_ASKED
					  ? "the host asked for it"
					  : strsignal(supervisor->stop_signal));
	pool_close(&supervisor->pool);
	parked_end(&supervisor->parked);
	ending_enter(supervisor, is_init ? ending_of_machine : ending_of_service);
}

/* The stage is over, or its time is. */
static void
ending_go_on(struct supervisor *supervisor, bool is_over)
{
	const struct ending_stage *stage = supervisor->ending.stage;

	if (!is_over && stage->late != NULL)
		log_warnx("%s", stage->late);
	ending_enter(
	    supervisor, !is_over && supervisor->ending.rounds < stage->rounds ? stage : stage + 1);
}

uint64_t
ending_step(struct supervisor *supervisor)
{
	struct ending *ending = &supervisor->ending;

	if (ending->stage == NULL)
		ending_begin(supervisor);
	for (;;) {
		bool is_over = ending->stage->is_over(supervisor);
		uint64_t now = clock_mono_ms();

		if (!is_over && now < ending->until_ms)
			return ending->stage->look_ms == 0
				   ? ending->until_ms
				   : clock_sooner(ending->until_ms, now + ending->stage->look_ms);
		ending_go_on(supervisor, is_over);
	}
}

void
ending_bury(struct supervisor *supervisor, const siginfo_t *info)
{
	struct ending *ending = &supervisor->ending;

	if (info->si_pid != ending->program_pid)
		return;
	ending->program_pid = 0;
	ending->is_obeyed = info->si_code == CLD_EXITED && info->si_status == 0;
	if (!ending->is_obeyed)
		log_warnx("the guest's init does not end it");
}
