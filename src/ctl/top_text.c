/*
 * SPDX-License-Identifier: MIT
 */
#include "ctl/top_text.h"

#include <stdint.h>
#include <stdlib.h>

#include "ctl/command.h"
#include "ctl/quantity.h"
#include "ctl/session_table.h"
#include "ctl/status_text.h"

#define TOP_TEXT_MS_PER_S 1000
#define TOP_TEXT_US_PER_MS 1000.0
#define TOP_TEXT_PERCENT 100.0

static const struct session_table_column top_text_columns[] = {
	{ "SESSION", .is_right = true },
	{ "NAME", .is_seldom = true },
	{ .name = "KIND" },
	{ "PID", .is_right = true },
	{ .name = "USER" },
	{ "CPU", .is_right = true },
	{ "MEMORY", .is_right = true },
	{ "AGE", .is_right = true },
};

#define TOP_TEXT_COLUMNS ((int)(sizeof(top_text_columns) / sizeof(top_text_columns[0])))

struct top_text_row {
	const struct status_slot *slot;
	double cpu; /* percent of one CPU; less than 0: not known */
};

/* A counter that went back is another guest's, of a clone. */
static double
top_text_rise(uint64_t before, uint64_t now)
{
	return now > before ? (double)(now - before) : 0;
}

/* The guest's time between the two. */
static double
top_text_ms(const struct top_looks *looks)
{
	return looks->before == NULL
		   ? 0
		   : top_text_rise(looks->before->guest.uptime_ms, looks->now->guest.uptime_ms);
}

static double
top_text_cpu_of(const struct top_looks *looks, const struct status_slot *slot)
{
	if (looks->before == NULL || !slot->figures.has_cpu || top_text_ms(looks) <= 0)
		return -1;
	for (size_t i = 0; i < looks->before->slots_count; i++) {
		const struct status_slot *old = &looks->before->slots[i];

		if (old->session == slot->session && old->figures.has_cpu)
			return top_text_rise(old->figures.cpu_us, slot->figures.cpu_us) *
			       TOP_TEXT_PERCENT / TOP_TEXT_US_PER_MS / top_text_ms(looks);
	}
	/* It began meanwhile. */
	return (double)slot->figures.cpu_us * TOP_TEXT_PERCENT / TOP_TEXT_US_PER_MS /
	       top_text_ms(looks);
}

static void
top_text_print_cpu(const struct top_looks *looks)
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
		all += top_text_rise(before[i], now[i]);
	(void)fprintf(looks->out, "%-9s", "CPU");
	for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
		double part = 0;

		for (int j = 0; j < shares[i].count; j++)
			part += top_text_rise(before[shares[i].parts[j]], now[shares[i].parts[j]]);
		(void)fprintf(looks->out, "%s %.1f%% %s", i > 0 ? "," : "",
		    all > 0 ? part * TOP_TEXT_PERCENT / all : 0, shares[i].name);
	}
	(void)fprintf(looks->out, "\n");
}

static void
top_text_print_room(const struct top_looks *looks)
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
top_text_print_pressure(const struct top_looks *looks)
{
	const struct figures *now = &looks->now->guest;
	const struct figures *before = looks->before != NULL ? &looks->before->guest : NULL;

	(void)fprintf(looks->out, "%-9s", "Pressure");
	if (before == NULL || top_text_ms(looks) <= 0 || !now->has_pressure ||
	    !before->has_pressure) {
		(void)fprintf(looks->out,
		    now->has_pressure ? " -\n" : " the guest's kernel does not count it\n");
		return;
	}
	(void)fprintf(looks->out, " CPU %.1f%%, memory %.1f%%, disks %.1f%% of the time\n",
	    top_text_rise(before->cpu_stall_us[0], now->cpu_stall_us[0]) / TOP_TEXT_US_PER_MS *
		TOP_TEXT_PERCENT / top_text_ms(looks),
	    top_text_rise(before->memory_stall_us[0], now->memory_stall_us[0]) /
		TOP_TEXT_US_PER_MS * TOP_TEXT_PERCENT / top_text_ms(looks),
	    top_text_rise(before->io_stall_us[0], now->io_stall_us[0]) / TOP_TEXT_US_PER_MS *
		TOP_TEXT_PERCENT / top_text_ms(looks));
}

static void
top_text_format_rate(const struct top_looks *looks, uint64_t before, uint64_t now, char *text)
{
	double per_s = top_text_ms(looks) > 0
			   ? top_text_rise(before, now) * TOP_TEXT_MS_PER_S / top_text_ms(looks)
			   : 0;

	quantity_format_bytes(text, (uint64_t)per_s);
}

static void
top_text_print_traffic(const struct top_looks *looks)
{
	struct figures_traffic before = { 0 };
	struct figures_traffic now;
	char texts[4][QUANTITY_MAX] = { "-", "-", "-", "-" };

	status_text_sum(&looks->now->guest, &now);
	if (looks->before != NULL) {
		status_text_sum(&looks->before->guest, &before);
		top_text_format_rate(looks, before.read_bytes, now.read_bytes, texts[0]);
		top_text_format_rate(looks, before.written_bytes, now.written_bytes, texts[1]);
		top_text_format_rate(looks, before.received_bytes, now.received_bytes, texts[2]);
		top_text_format_rate(looks, before.sent_bytes, now.sent_bytes, texts[3]);
	}
	(void)fprintf(looks->out, "%-9s disks %s read, %s written; network %s in, %s out\n",
	    "Per s", texts[0], texts[1], texts[2], texts[3]);
}

static void
top_text_print_guest(const struct top_looks *looks)
{
	const struct figures *guest = &looks->now->guest;
	char kernel[FIGURES_KERNEL_MAX];
	char up[QUANTITY_MAX];

	command_make_printable(guest->kernel != NULL ? guest->kernel : "", kernel, sizeof(kernel));
	quantity_format_ms(up, guest->uptime_ms);
	(void)fprintf(looks->out, "%-9s Linux %s, %u CPU%s, up %s\n", "Guest", kernel, guest->cpus,
	    guest->cpus == 1 ? "" : "s", up);
	top_text_print_cpu(looks);
	top_text_print_room(looks);
	top_text_print_pressure(looks);
	top_text_print_traffic(looks);
	(void)fprintf(looks->out, "\n");
}

static uint64_t
top_text_memory_of(const struct top_text_row *row)
{
	return row->slot->figures.has_memory ? row->slot->figures.memory_bytes : 0;
}

/* Those that use most come first; of those that use the same, the older one. */
static int
top_text_compare(const void *a, const void *b)
{
	const struct top_text_row *x = a;
	const struct top_text_row *y = b;

	if (x->cpu > y->cpu || x->cpu < y->cpu)
		return x->cpu > y->cpu ? -1 : 1;
	if (top_text_memory_of(x) != top_text_memory_of(y))
		return top_text_memory_of(x) > top_text_memory_of(y) ? -1 : 1;
	return (x->slot->session > y->slot->session) - (x->slot->session < y->slot->session);
}

static void
top_text_fill(struct session_table_row *row, const struct top_text_row *from)
{
	const struct status_slot *slot = from->slot;

	status_text_fill_slot(row, slot);
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
top_text_print_sessions(const struct top_looks *looks, size_t room)
{
	struct session_table CLEANUP_SESSION_TABLE table = { 0 };
	size_t all = looks->now->slots_count;
	struct top_text_row *rows = calloc(all + 1, sizeof(*rows));
	size_t count = 0;

	if (rows == NULL ||
	    session_table_init(&table, top_text_columns, TOP_TEXT_COLUMNS, all) < 0) {
		free(rows);
		return command_fail("out of memory");
	}
	for (size_t i = 0; i < all; i++) {
		const struct status_slot *slot = &looks->now->slots[i];

		if (!status_text_is_own(slot))
			rows[count++] = (struct top_text_row){ slot, top_text_cpu_of(looks, slot) };
	}
	qsort(rows, count, sizeof(*rows), top_text_compare);
	for (size_t i = 0; i < count && i < room; i++)
		top_text_fill(session_table_add(&table, rows[i].slot->command), &rows[i]);
	session_table_print(&table, looks->out);
	free(rows);
	return 0;
}

int
top_text_print(const struct top_looks *looks, size_t room)
{
	top_text_print_guest(looks);
	return top_text_print_sessions(looks, room);
}
