/*
 * signals: a handler writes the signal's number to a pipe.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#define SIGNALS_EXIT_BASE 128

/* In a byte of the pipe, above all numbers of signals. */
#define SIGNALS_SENT 0x80

static int signals_pipe[2] = { -1, -1 };

static void
signals_handle(int signal, siginfo_t *info, void *context)
{
	uint8_t number = (uint8_t)(signal | (info->si_code <= 0 ? SIGNALS_SENT : 0));
	int error = errno;

	(void)context;
	/* A full pipe already says that signals came. */
	if (write(signals_pipe[1], &number, 1) < 0)
		errno = error;
	errno = error;
}

int
signals_open(void)
{
	if (signals_pipe[0] < 0 && pipe2(signals_pipe, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	return 0;
}

void
signals_catch(int signal)
{
	struct sigaction action = { .sa_sigaction = signals_handle,
		.sa_flags = SA_RESTART | SA_SIGINFO };
	struct sigaction old;

	if (signals_open() < 0)
		return;
	if (sigaction(signal, NULL, &old) == 0 && old.sa_handler == SIG_IGN)
		return;
	(void)sigemptyset(&action.sa_mask);
	(void)sigaction(signal, &action, NULL);
}

int
signals_fd(void)
{
	return signals_pipe[0];
}

bool
signals_have_come(void)
{
	struct pollfd wait = { .fd = signals_pipe[0], .events = POLLIN };

	return poll(&wait, 1, 0) > 0;
}

int
signals_take_sent(bool *ret_is_sent)
{
	uint8_t number;

	if (signals_pipe[0] < 0 || read(signals_pipe[0], &number, 1) != 1)
		return 0;
	*ret_is_sent = (number & SIGNALS_SENT) != 0;
	return number & ~SIGNALS_SENT;
}

int
signals_take(void)
{
	bool ignored;

	return signals_take_sent(&ignored);
}

void
signals_die(int signal)
{
	struct sigaction action = { .sa_handler = SIG_DFL };
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, signal);
	(void)sigaction(signal, &action, NULL);
	(void)sigprocmask(SIG_UNBLOCK, &set, NULL);
	(void)raise(signal);
	_exit(SIGNALS_EXIT_BASE + signal);
}

void
signals_release(void)
{
	struct sigaction action = { .sa_handler = SIG_DFL };
	struct sigaction old;

	(void)sigemptyset(&action.sa_mask);
	for (int signal = 1; signal < NSIG; signal++) {
		if (sigaction(signal, NULL, &old) == 0 && old.sa_sigaction == signals_handle)
			(void)sigaction(signal, &action, NULL);
	}
	if (signals_have_come())
		signals_die(signals_take());
}
