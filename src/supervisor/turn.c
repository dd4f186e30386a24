/*
 * SPDX-License-Identifier: MIT
 */
#include "supervisor/turn.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include "platform/bell.h"
#include "platform/clock.h"
#include "platform/log.h"
#include "platform/tracee.h"
#include "supervisor/own_fd.h"
#include "supervisor/detached_child.h"
#include "supervisor/ending.h"
#include "supervisor/scoreboard_log.h"

/* Signals, or children, that one turn deals with. */
#define TURN_MAX 256

/* Between two logs of the scoreboard, or of what HUP does. */
#define TURN_SHOW_MS 200

static struct log_limit turn_signal_limit = { .burst = 1, .period_ms = 60000 };

/* Deals with one child: buries it if it has ended (a worker, or an orphan of the guest),
 * and wakes it if it was stopped. Returns false where there is none. */
static bool
turn_reap_one(struct supervisor *supervisor)
{
	siginfo_t info = { .si_pid = 0 };

	if (waitid(P_ALL, 0, &info, WEXITED | WSTOPPED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0)
		return false;
	if (info.si_code == CLD_STOPPED) {
		(void)waitid(P_PID, (id_t)info.si_pid, &info, WSTOPPED | WNOHANG);
		if (supervisor->is_serving)
			pool_wake(&supervisor->pool, info.si_pid);
		return true;
	}
	if (info.si_code == CLD_TRAPPED) {
		/* It has made us its tracer (PTRACE_TRACEME), and has not ended. */
		tracee_let_go(&info);
		return true;
	}
	if (supervisor->is_serving)
		pool_bury(&supervisor->pool, &info);
	supervisor_quiesce_bury(supervisor, &info);
	ending_bury(supervisor, &info);
	detached_child_bury(supervisor->board, info.si_pid);
	(void)wait4(info.si_pid, NULL, WNOHANG, NULL);
	return true;
}

/* Reaps all, or as many as one turn may hold: orphans can end faster than we reap,
 * and workers are to be replaced in between. */
static void
turn_reap(struct supervisor *supervisor)
{
	int count = 0;

	while (count < TURN_MAX && turn_reap_one(supervisor))
		count++;
	supervisor->is_behind = count == TURN_MAX;
	if (count == 0)
		return;
	detached_child_strike(
	    supervisor->board, supervisor->settings->worker.session.session_cgroups_fd);
	if (supervisor->is_serving)
		detached_child_obey(supervisor->board, &supervisor->pool);
}

/* Whether a log that a signal asked for may be written now: not more often than a person
 * could read, as a session of root's can send the signal too. */
static bool
turn_may_log(uint64_t *after_ms)
{
	uint64_t now = clock_mono_ms();

	if (now < *after_ms)
		return false;
	*after_ms = now + TURN_SHOW_MS;
	return true;
}

/* SIGNAL is one of those that we take: what is not here is one of shutdown_signals. */
static void
turn_on_signal(struct supervisor *supervisor, int signal)
{
	switch (signal) {
	case SIGCHLD:
		break; /* children are looked at in any case */
	case SIGHUP:
		if (turn_may_log(&supervisor->replace_log_after_ms))
			log_info("replacing all workers");
		if (supervisor->is_serving)
			pool_replace_all(&supervisor->pool);
		break;
	case SIGUSR1:
		if (turn_may_log(&supervisor->show_after_ms))
			scoreboard_log(supervisor->board);
		break;
	default:
		supervisor->stop_signal = signal;
		break;
	}
}

/* Workers have left word in the scoreboard. */
static void
turn_on_bell(struct supervisor *supervisor)
{
	bell_silence(supervisor->board->bell_fd);
	if (supervisor->ending.stage == NULL &&
	    scoreboard_is_end_asked(
		supervisor->board, &supervisor->end_action, &supervisor->end_grace_ms))
		supervisor->stop_signal = SUPERVISOR_IS_ASKED;
	if (supervisor->is_serving)
		detached_child_obey(supervisor->board, &supervisor->pool);
}

/* Whether there is a descriptor that wakes us for a signal. Without one we look for
 * signals every now and then, and try to open it again. */
static bool
turn_is_woken(struct supervisor *supervisor)
{
	int fd;

	if (supervisor->signal_fd >= 0)
		return true;
	fd = signalfd(-1, &supervisor->signals, SFD_CLOEXEC);
	if (fd < 0)
		log_limited(&turn_signal_limit, "can't wait for signals: %s; trying again",
		    strerror(errno));
	else
		supervisor->signal_fd = own_fd_hide(fd);
	return fd >= 0;
}

void
supervisor_turn(struct supervisor *supervisor, uint64_t next_ms)
{
	struct pollfd polls[4 + PARKED_POLLS + POWER_KEY_POLLS_MAX + READINESS_DIALS];
	struct pollfd *parked_polls = polls + 4;
	uint64_t give_up_ms = readiness_step(&supervisor->readiness);
	uint64_t again_ms = pool_kill_again(&supervisor->pool, clock_mono_ms());
	uint64_t watch_ms = CLOCK_NEVER;
	uint64_t quiesce_ms = supervisor_quiesce_step(supervisor, clock_mono_ms());
	uint64_t kept_ms = journals_step(supervisor->board, &supervisor->journals, clock_mono_ms(),
	    (uint64_t)supervisor->settings->worker.session.stall_timeout_ms);
	uint64_t parked_ms = parked_step(&supervisor->parked, clock_mono_ms());
	const struct timespec at_once = { 0 };
	int count = 4 + PARKED_POLLS;
	int signal;

	if (!turn_is_woken(supervisor))
		next_ms = clock_sooner(next_ms, clock_mono_ms() + SUPERVISOR_AGAIN_MS);
	polls[0] = (struct pollfd){ .fd = supervisor->signal_fd, .events = POLLIN };
	polls[1] = (struct pollfd){ .fd = supervisor->board->bell_fd, .events = POLLIN };
	polls[2] = (struct pollfd){ .fd = -1, .events = POLLIN };
	polls[3] = (struct pollfd){ .fd = -1, .events = POLLIN };
	/* While the switch is there that bell is its own; and workers that stand still are late
	 * with everything. */
	if (!supervisor->quiesce.is_on)
		polls[3].fd = supervisor->board->quiesce_bell_fd;
	if (supervisor->is_serving && !supervisor->quiesce.is_on) {
		watch_ms = pool_watch(&supervisor->pool, clock_mono_ms());
		polls[2].fd = supervisor->pool.watchdogs.wait_fd;
	}
	parked_poll(&supervisor->parked, parked_polls);
	count += power_key_list(&supervisor->power_key, polls + count);
	count += readiness_list(&supervisor->readiness, polls + count);
	next_ms = clock_sooner(next_ms, clock_sooner(give_up_ms, clock_sooner(again_ms, watch_ms)));
	next_ms = clock_sooner(next_ms, clock_sooner(quiesce_ms, clock_sooner(kept_ms, parked_ms)));
	if (supervisor->is_behind)
		next_ms = 0;
	(void)poll(polls, (nfds_t)count, clock_poll_timeout(clock_mono_ms(), next_ms));
	(void)readiness_step(&supervisor->readiness);
	if (power_key_is_pressed(&supervisor->power_key)) {
		log_info("the power key was pressed");
		supervisor->stop_signal = SIGPWR;
	}
	for (int i = 0; i < TURN_MAX; i++) {
		signal = sigtimedwait(&supervisor->signals, NULL, &at_once);
		if (signal < 0)
			break;
		turn_on_signal(supervisor, signal);
	}
	if (polls[3].revents != 0)
		bell_silence(polls[3].fd);
	if (polls[1].revents != 0)
		turn_on_bell(supervisor);
	parked_act(&supervisor->parked, parked_polls, clock_mono_ms());
	turn_reap(supervisor);
}
