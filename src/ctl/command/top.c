/*
 * top: "vmm-guest-ctl top": what the guest and its sessions use, again and again. The agent
 * counts; what is used is the difference of two of its answers.
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
#include "ctl/quantity.h"
#include "ctl/session_table.h"
#include "ctl/signals.h"
#include "ctl/status_text.h"
#include "ctl/terminal.h"
#include "platform/clock.h"

#define TOP_EVERY_MS 2000
#define TOP_EVERY_MS_MIN 100
#define TOP_MS_PER_S 1000
#define TOP_US_PER_MS 1000.0
#define TOP_PERCENT 100.0

/* Lines above the sessions, and those of the table's head and of the cursor. */
#define TOP_HEAD_LINES 6u
#define TOP_OTHER_LINES 2u

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

static const struct session_table_column top_columns[] = {
	{ "SESSION", .is_right = true },
	{ "NAME", .is_seldom = true },
	{ .name = "KIND" },
	{ "PID", .is_right = true },
	{ .name = "USER" },
	{ "CPU", .is_right = true },
	{ "MEMORY", .is_right = true },
	{ "AGE", .is_right = true },
};

#define TOP_COLUMNS ((int)(sizeof(top_columns) / sizeof(top_columns[0])))

/* Two answers, and the guest's time between them. */
struct top_looks {
	const struct status *before; /* NULL: there was none */
	const struct status *now;
	double ms;
	FILE *out; /* where they are shown */
};

struct top_row {
	const struct status_slot *slot;
	double cpu; /* percent of one CPU; less than 0: not known */
};

/* ---- differences --------------------------------------------------------- */

/* A counter that went back is another guest's, of a clone. */
static double
top_rise(uint64_t before, uint64_t now)
{
	return now > before ? (double)(now - before) : 0;
}

static double
top_cpu_of(const struct top_looks *looks, const struct status_slot *slot)
{
	if (looks->before == NULL || !slot->figures.has_cpu || looks->ms <= 0)
		return -1;
	for (size_t i = 0; i < looks->before->slots_count; i++) {
		const struct status_slot *old = &looks->before->slots[i];

		if (old->session == slot->session && old->figures.has_cpu)
			return top_rise(old->figures.cpu_us, slot->figures.cpu_us) * TOP_PERCENT /
			       TOP_US_PER_MS / looks->ms;
	}
	/* It began meanwhile. */
	return (double)slot->figures.cpu_us * TOP_PERCENT / TOP_US_PER_MS / looks->ms;
}

/* ---- the guest ----------------------------------------------------------- */

static void
top_print_cpu(const struct top_looks *looks)
{
	static const struct {
		const char *name;
		enum figures_cpu parts[3];
		int count;
	} shares[] = {
		{ "user", { FIGURES_USER, FIGURES_NICE }, 2 },
		{ "system", { FIGURES_SYSTEM, FIGURES_IRQ, FIGURES_SOFTIRQ }, 3 },
		{ "idle", { FIGURES_IDLE }, 1 },
		{ "disk wait", { FIGURES_IOWAIT }, 1 },
		{ "stolen", { FIGURES_STEAL }, 1 },
	};
	const uint64_t none[FIGURES_CPU_COUNT] = { 0 };
	const uint64_t *before = looks->before != NULL ? looks->before->guest.cpu_ms : none;
	const uint64_t *now = looks->now->guest.cpu_ms;
	double all = 0;

	for (int i = 0; i < FIGURES_CPU_COUNT; i++)
		all += top_rise(before[i], now[i]);
	(void)fprintf(looks->out, "%-9s", "CPU");
	for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
		double part = 0;

		for (int j = 0; j < shares[i].count; j++)
			part += top_rise(before[shares[i].parts[j]], now[shares[i].parts[j]]);
		(void)fprintf(looks->out, "%s %.1f%% %s", i > 0 ? "," : "",
		    all > 0 ? part * TOP_PERCENT / all : 0, shares[i].name);
	}
	(void)fprintf(looks->out, "\n");
}

static void
top_print_room(const struct top_looks *looks)
{
	const struct figures *guest = &looks->now->guest;
	char texts[4][QUANTITY_MAX];

	quantity_format_bytes(texts[0], guest->memory[FIGURES_AVAILABLE]);
	quantity_format_bytes(texts[1], guest->memory[FIGURES_TOTAL]);
	quantity_format_bytes(texts[2], guest->root.free_bytes);
	quantity_format_bytes(texts[3], guest->root.bytes);
	(void)fprintf(looks->out, "%-9s %s of %s available; root %s of %s free\n", "Memory",
	    texts[0], texts[1], texts[2], texts[3]);
}

static void
top_print_pressure(const struct top_looks *looks)
{
	const struct figures *now = &looks->now->guest;
	const struct figures *before = looks->before != NULL ? &looks->before->guest : NULL;

	(void)fprintf(looks->out, "%-9s", "Pressure");
	if (before == NULL || looks->ms <= 0 || !now->has_pressure || !before->has_pressure) {
		(void)fprintf(looks->out,
		    now->has_pressure ? " -\n" : " the guest's kernel does not count it\n");
		return;
	}
	(void)fprintf(looks->out, " CPU %.1f%%, memory %.1f%%, disks %.1f%% of the time\n",
	    top_rise(before->cpu_stall_us[0], now->cpu_stall_us[0]) / TOP_US_PER_MS * TOP_PERCENT /
		looks->ms,
	    top_rise(before->memory_stall_us[0], now->memory_stall_us[0]) / TOP_US_PER_MS *
		TOP_PERCENT / looks->ms,
	    top_rise(before->io_stall_us[0], now->io_stall_us[0]) / TOP_US_PER_MS * TOP_PERCENT /
		looks->ms);
}

static void
top_format_rate(const struct top_looks *looks, uint64_t before, uint64_t now, char *text)
{
	double per_s = looks->ms > 0 ? top_rise(before, now) * TOP_MS_PER_S / looks->ms : 0;

	quantity_format_bytes(text, (uint64_t)per_s);
}

static void
top_print_traffic(const struct top_looks *looks)
{
	struct figures_traffic before = { 0 };
	struct figures_traffic now;
	char texts[4][QUANTITY_MAX] = { "-", "-", "-", "-" };

	status_text_sum(&looks->now->guest, &now);
	if (looks->before != NULL) {
		status_text_sum(&looks->before->guest, &before);
		top_format_rate(looks, before.read_bytes, now.read_bytes, texts[0]);
		top_format_rate(looks, before.written_bytes, now.written_bytes, texts[1]);
		top_format_rate(looks, before.received_bytes, now.received_bytes, texts[2]);
		top_format_rate(looks, before.sent_bytes, now.sent_bytes, texts[3]);
	}
	(void)fprintf(looks->out, "%-9s disks %s read, %s written; network %s in, %s out\n",
	    "Per s", texts[0], texts[1], texts[2], texts[3]);
}

static void
top_print_guest(const struct top_looks *looks)
{
	const struct figures *guest = &looks->now->guest;
	char kernel[FIGURES_KERNEL_MAX];
	char up[QUANTITY_MAX];

	command_make_printable(guest->kernel != NULL ? guest->kernel : "", kernel, sizeof(kernel));
	quantity_format_ms(up, guest->uptime_ms);
	(void)fprintf(looks->out, "%-9s Linux %s, %u CPU%s, up %s\n", "Guest", kernel, guest->cpus,
	    guest->cpus == 1 ? "" : "s", up);
	top_print_cpu(looks);
	top_print_room(looks);
	top_print_pressure(looks);
	top_print_traffic(looks);
	(void)fprintf(looks->out, "\n");
}

/* ---- the sessions -------------------------------------------------------- */

static uint64_t
top_memory_of(const struct top_row *row)
{
	return row->slot->figures.has_memory ? row->slot->figures.memory_bytes : 0;
}

/* Those that use most come first; of those that use the same, the older one. */
static int
top_compare(const void *a, const void *b)
{
	const struct top_row *x = a;
	const struct top_row *y = b;

	if (x->cpu > y->cpu || x->cpu < y->cpu)
		return x->cpu > y->cpu ? -1 : 1;
	if (top_memory_of(x) != top_memory_of(y))
		return top_memory_of(x) > top_memory_of(y) ? -1 : 1;
	return (x->slot->session > y->slot->session) - (x->slot->session < y->slot->session);
}

static void
top_fill(struct session_table_row *row, const struct top_row *from)
{
	const struct status_slot *slot = from->slot;

	(void)snprintf(
	    row->cells[0], SESSION_TABLE_CELL_MAX, "%llu", (unsigned long long)slot->session);
	session_table_put_word(row->cells[1], slot->name);
	command_make_printable(slot->kind, row->cells[2], SESSION_TABLE_CELL_MAX);
	(void)snprintf(
	    row->cells[3], SESSION_TABLE_CELL_MAX, slot->pid != 0 ? "%d" : "-", slot->pid);
	session_table_put_word(row->cells[4], slot->user);
	if (from->cpu >= 0)
		(void)snprintf(row->cells[5], SESSION_TABLE_CELL_MAX, "%.1f%%", from->cpu);
	else
		session_table_put_word(row->cells[5], NULL);
	if (slot->figures.has_memory)
		quantity_format_bytes(row->cells[6], slot->figures.memory_bytes);
	else
		session_table_put_word(row->cells[6], NULL);
	quantity_format_ms(row->cells[7], slot->age_ms);
}

/* Prints as many as there is room for. */
static int
top_print_sessions(const struct top_looks *looks, size_t room)
{
	struct session_table CLEANUP_SESSION_TABLE table = { 0 };
	size_t all = looks->now->slots_count;
	struct top_row *rows = calloc(all + 1, sizeof(*rows));
	size_t count = 0;

	if (rows == NULL || session_table_init(&table, top_columns, TOP_COLUMNS, all) < 0) {
		free(rows);
		return command_fail("out of memory");
	}
	for (size_t i = 0; i < all; i++) {
		const struct status_slot *slot = &looks->now->slots[i];

		if (!status_text_is_own(slot))
			rows[count++] = (struct top_row){ slot, top_cpu_of(looks, slot) };
	}
	qsort(rows, count, sizeof(*rows), top_compare);
	for (size_t i = 0; i < count && i < room; i++)
		top_fill(session_table_add(&table, rows[i].slot->command), &rows[i]);
	session_table_print(&table, looks->out);
	free(rows);
	return 0;
}

/* ---- again and again ----------------------------------------------------- */

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
top_print(const struct top_looks *looks, size_t room)
{
	top_print_guest(looks);
	return top_print_sessions(looks, room);
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
		room = size.rows > TOP_HEAD_LINES + TOP_OTHER_LINES
			   ? size.rows - TOP_HEAD_LINES - TOP_OTHER_LINES
			   : 0;
	status = top_print(&held, room);
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
	int status = is_screen ? top_show_screen(looks) : top_print(looks, looks->now->slots_count);

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
		looks.ms = looks.before != NULL
			       ? top_rise(before.guest.uptime_ms, now.guest.uptime_ms)
			       : 0;
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
