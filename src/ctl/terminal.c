/*
 * terminal: termios(3), ioctl_tty(2).
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/terminal.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "platform/fd.h"

static struct termios terminal_saved;
static volatile sig_atomic_t terminal_raw;

bool
terminal_get_size(struct frame_resize *ret)
{
	struct winsize size;

	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0) {
			*ret = (struct frame_resize){ .columns = size.ws_col, .rows = size.ws_row };
			return true;
		}
	}
	return false;
}

bool
terminal_is_raw(void)
{
	return terminal_raw != 0;
}

/* See console_codes(4), and "XTerm Control Sequences". The cursor is saved first: where the
 * ordinary screen is there already, leaving the other one restores it all the same. */
void
terminal_leave_screen(void)
{
	static const char codes[] = "\0337\033[?1049l\033[?1000l\033[?1002l\033[?1003l\033[?1004l"
				    "\033[?1006l\033[?2004l\033[?1l\033>\033[?25h\033[m";
	const char *term = getenv("TERM");

	if (!isatty(STDOUT_FILENO))
		return;
	if (term != NULL && strcmp(term, "dumb") != 0)
		(void)fd_write_full(STDOUT_FILENO, codes, sizeof(codes) - 1);
	(void)fd_write_full(STDOUT_FILENO, "\r\n", 2);
}

void
terminal_restore(void)
{
	if (!terminal_raw)
		return;
	terminal_raw = false;
	(void)tcsetattr(STDIN_FILENO, TCSADRAIN, &terminal_saved);
}

/* tcsetattr(3) is safe in a signal handler; SA_RESETHAND lets the signal end us. */
static void
terminal_end(int signal)
{
	terminal_restore();
	(void)raise(signal);
}

/* The signals that end the program without a chance to go through exit(3). */
static void
terminal_guard(void)
{
	static const int fatal[] = { SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGPIPE, SIGSEGV };
	struct sigaction action = { .sa_handler = terminal_end, .sa_flags = (int)SA_RESETHAND };

	(void)sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++)
		(void)sigaction(fatal[i], &action, NULL);
	(void)atexit(terminal_restore);
}

/* Whether there is a terminal, whose ways are known from now on, and given back. */
static bool
terminal_save(void)
{
	static bool is_guarded;

	if (!isatty(STDIN_FILENO))
		return false;
	if (!is_guarded) {
		if (tcgetattr(STDIN_FILENO, &terminal_saved) < 0)
			return false;
		terminal_guard();
		is_guarded = true;
	}
	return true;
}

void
terminal_make_raw(void)
{
	struct termios raw;

	if (!terminal_save())
		return;
	raw = terminal_saved;
	cfmakeraw(&raw);
	terminal_raw = true;
	(void)tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
}

void
terminal_take_keys(void)
{
	struct termios keys;

	if (!terminal_save())
		return;
	keys = terminal_saved;
	keys.c_lflag &= (tcflag_t) ~(ICANON | ECHO);
	/* Nothing would put the screen right at the stop. */
	keys.c_cc[VSUSP] = _POSIX_VDISABLE;
	terminal_raw = true;
	(void)tcsetattr(STDIN_FILENO, TCSADRAIN, &keys);
}
