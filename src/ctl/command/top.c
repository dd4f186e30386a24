/*
 * top: "vmm-guest-ctl top": looks at the guest again and again, on a screen or not.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/command.h"
#include "ctl/signals.h"
#include "ctl/status_text.h"
#include "ctl/terminal.h"
#include "ctl/top_text.h"
#include "platform/clock.h"

#define TOP_EVERY_MS 2000
#define TOP_EVERY_MS_MIN 100

/* Below the table. */
#define TOP_CURSOR_LINES 1u

/* See console_codes(4). The ordinary screen is used, so that the last table stays, and below it
 * what is said of an error. Lines are cut by us: without wrapping (7l) all that is too long would
 * be written over the last character. */
#define TOP_SCREEN "\033[?25l\033[?7l"
#define TOP_SCREEN_OFF "\033[?7h\033[?25h"
#define TOP_CLEAR "\033[H\033[J"

static uint64_t top_every_ms = TOP_EVERY_MS;
static uint32_t top_rounds; /* 0: until it is ended, on a terminal; else one */

static int
top_take_count(const struct options_row *row, char *text)
{
	uint64_t count;

	if (command_parse_number(text, 1, UINT32_MAX, &count) < 0)
		return -EINVAL;
	*(uint32_t *)row->into = (uint32_t)count;
	return 0;
}

static const struct options_row top_options[] = {
	OPTIONS_CALL("delay", 'd', "SECONDS", options_take_ms, &top_every_ms, OPTIONS_OF_SECONDS,
	    "between two looks, or 0.5, 500ms, 1m (default: 2)"),
	OPTIONS_CALL("count", 'n', "COUNT", top_take_count, &top_rounds, "a number from 1",
	    "tables to show, then end (default: no end on a terminal, else 1)"),
	OPTIONS_END,
};

/* TEXT, each line as far as COLUMNS go; what does not begin a character takes none. */
static void
top_put_lines(const char *text, unsigned columns)
{
	unsigned used = 0;

	for (; *text != '\0'; text++) {
		if (*text == '\n')
			used = 0;
		else if (((unsigned char)*text & 0xc0) != 0x80)
			used++;
		if (used <= columns)
			(void)putchar(*text);
	}
}

static int
top_show_screen(const struct top_looks *looks)
{
	struct top_looks held = *looks;
	struct frame_resize size = { 0 };
	size_t room = looks->now->slots_count;
	char *text = NULL;
	size_t len;
	int status;

	held.out = open_memstream(&text, &len);
	if (held.out == NULL)
		return command_fail("out of memory");
	if (terminal_get_size(&size))
		room = size.rows > TOP_TEXT_LINES + TOP_CURSOR_LINES
			   ? size.rows - TOP_TEXT_LINES - TOP_CURSOR_LINES
			   : 0;
	status = top_text_print(&held, room);
	if (fclose(held.out) != 0 && status == 0)
		status = command_fail("out of memory");
	if (status == 0) {
		(void)fputs(TOP_CLEAR, stdout);
		top_put_lines(text, size.columns > 0 ? size.columns : UINT_MAX);
	}
	free(text);
	return status;
}

static int
top_show(const struct top_looks *looks, bool is_screen)
{
	int status =
	    is_screen ? top_show_screen(looks) : top_text_print(looks, looks->now->slots_count);

	return fflush(stdout) == 0 ? status : COMMAND_FAILED;
}

/* Waits for the next look. Returns whether there is to be one; or false if a signal has come, or
 * 'q' was typed. */
static bool
top_wait(bool is_screen)
{
	uint64_t deadline = clock_mono_ms() + top_every_ms;
	struct pollfd fds[] = {
		{ .fd = signals_fd(), .events = POLLIN },
		{ .fd = is_screen ? STDIN_FILENO : -1, .events = POLLIN },
	};
	uint64_t now;

	while ((now = clock_mono_ms()) < deadline) {
		char key = 0;

		(void)poll(fds, sizeof(fds) / sizeof(fds[0]), (int)(deadline - now));
		if (signals_have_come())
			return false;
		if (fds[1].revents != 0 && read(STDIN_FILENO, &key, 1) != 1)
			fds[1].fd = -1;
		if (key == 'q' || key == 'Q')
			return false;
		if (key == ' ' || key == '\n')
			break;
	}
	return true;
}

/* Looks, and shows what has changed since, until it is to end. */
static int
top_loop(bool is_screen)
{
	struct status CLEANUP_STATUS before = { 0 };
	uint32_t shown = 0;
	uint32_t most = top_rounds > 0 || is_screen ? top_rounds : 1;
	int status = 0;

	while (status == 0 && (most == 0 || shown < most)) {
		struct status now = { 0 };
		struct top_looks looks = { .before = before.json != NULL ? &before : NULL,
			.out = stdout };

		status = status_text_ask_figures(&now);
		if (status != 0)
			break;
		looks.now = &now;
		if (!now.has_guest)
			status = command_fail("the agent is too old to tell what the guest uses");
		else if (looks.before != NULL || is_screen)
			status = top_show(&looks, is_screen);
		shown += looks.before != NULL;
		status_done(&before);
		before = now;
		if (status == 0 && (most == 0 || shown < most) && !top_wait(is_screen))
			break;
	}
	return status;
}

static int
top_run(int count, char **operands)
{
	const char *term = getenv("TERM");
	bool is_screen = isatty(STDOUT_FILENO) && isatty(STDIN_FILENO) && term != NULL &&
			 strcmp(term, "dumb") != 0;
	int status;
	int signal;

	(void)count;
	(void)operands;
	if (top_every_ms < TOP_EVERY_MS_MIN)
		return command_misuse(&top_command, "--delay: at least 0.1 seconds");
	signals_catch(SIGINT);
	signals_catch(SIGTERM);
	signals_catch(SIGHUP);
	if (is_screen) {
		terminal_take_keys();
		(void)fputs(TOP_SCREEN, stdout);
	}
	status = top_loop(is_screen);
	if (is_screen) {
		(void)fputs(TOP_SCREEN_OFF, stdout);
		(void)fflush(stdout);
		terminal_restore();
	}
	signal = signals_take();
	if (signal != 0 && signal != SIGINT)
		signals_die(signal);
	return status;
}

const struct command top_command = {
	.name = "top",
	.summary = "show what the guest and its sessions use, again and again",
	.usage = "[-d SECONDS] [-n COUNT]",
	.about = "Shows what the guest uses of its CPUs, memory, disks and network, and which\n"
		 "session uses how much of it, until q is typed or it is interrupted; a blank\n"
		 "looks at once. Where it does not run on a terminal, it prints one table.\n"
		 "\n"
		 "Disk wait is time in which a CPU had nothing to do but wait for a disk; stolen\n"
		 "is what the host had of it. Of the sessions:\n"
		 "\n"
		 "  CPU      that its processes had, 100% is one CPU; '-': nobody counts it\n"
		 "  MEMORY   that its cgroup has, page cache too\n"
		 "  AGE      since it began\n",
	.options = top_options,
	.run = top_run,
};
