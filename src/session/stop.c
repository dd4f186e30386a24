/*
 * stop: the signals of a worker.
 *
 * SPDX-License-Identifier: MIT
 */
#include "session/stop.h"

#include <stdatomic.h>
#include <stddef.h>

#include "platform/clock.h"
#include "platform/watchdog.h"

static volatile sig_atomic_t stop_now;
static volatile sig_atomic_t stop_soon;
static sigset_t stop_mask;
static sigset_t stop_look_mask;
static sigset_t stop_children_mask;
static const _Atomic uint32_t *stop_grace;

static void
stop_on_signal(int signal)
{
	if (signal == SIGUSR1 || signal == SIGCHLD)
		return;
	stop_soon = 1;
	if (signal != SIGHUP)
		stop_now = 1;
}

void
stop_init(void)
{
	static const int handled[] = { SIGHUP, SIGTERM, SIGINT, SIGUSR1 };
	static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS };
	struct sigaction action = { .sa_handler = stop_on_signal };
	sigset_t blocked;

	(void)sigfillset(&action.sa_mask);
	(void)sigfillset(&blocked);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		(void)sigdelset(&blocked, faults[i]);
	stop_mask = blocked;
	stop_look_mask = blocked;
	(void)sigdelset(&stop_look_mask, SIGUSR1);
	for (size_t i = 0; i < sizeof(handled) / sizeof(handled[0]); i++) {
		(void)sigaction(handled[i], &action, NULL);
		(void)sigdelset(&stop_mask, handled[i]);
	}
	(void)sigaction(SIGCHLD, &action, NULL);
	stop_children_mask = stop_mask;
	(void)sigdelset(&stop_children_mask, SIGCHLD);
	(void)sigprocmask(SIG_SETMASK, &blocked, NULL);
}

const sigset_t *
stop_wait_mask(void)
{
	return &stop_mask;
}

const sigset_t *
stop_watch_mask(void)
{
	return &stop_children_mask;
}

int
stop_poll(struct pollfd *polls, nfds_t count, uint64_t deadline_ms, bool can_stop)
{
	struct timespec left;
	int n;

	watchdog_pause();
	n = ppoll(
	    polls, count, clock_left(deadline_ms, &left), can_stop ? &stop_mask : &stop_look_mask);
	watchdog_resume();
	return n;
}

bool
stop_is_now(void)
{
	return stop_now != 0;
}

void
stop_pass_on(void)
{
	/* It is blocked, and so it waits for the next wait. */
	(void)raise(SIGTERM);
}

bool
stop_is_requested(void)
{
	return stop_soon != 0;
}

void
stop_set_grace(const _Atomic uint32_t *grace_ms)
{
	stop_grace = grace_ms;
}

uint32_t
stop_grace_ms(void)
{
	return stop_grace != NULL ? atomic_load(stop_grace) : 0;
}
