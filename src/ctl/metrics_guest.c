/*
 * metrics_guest: the figures of the guest, and of each session.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "ctl/metrics.h"

#define METRICS_ROWS_MAX 64

/* What can be told of a disk or an interface. */
struct metrics_column {
	const char *name;
	const char *help;
	size_t offset;
	double unit; /* of what is counted, in one of the metric's */
};

/* An array of these, each beginning with its name. */
struct metrics_table {
	const char *label;
	const struct metrics_column *columns;
	size_t columns_count;
	size_t size;
};

static const struct metrics_column metrics_disk_columns[] = {
	{ "disk_reads_total", "Reads by disk.", offsetof(struct figures_disk, reads), 1 },
	{ "disk_read_bytes_total", "Bytes read by disk.", offsetof(struct figures_disk, read_bytes),
	    1 },
	{ "disk_writes_total", "Writes by disk.", offsetof(struct figures_disk, writes), 1 },
	{ "disk_written_bytes_total", "Bytes written by disk.",
	    offsetof(struct figures_disk, written_bytes), 1 },
	{ "disk_busy_seconds_total", "Time in which the disk had something to do.",
	    offsetof(struct figures_disk, busy_ms), METRICS_MS_PER_S },
};

static const struct metrics_column metrics_link_columns[] = {
	{ "network_received_bytes_total", "Bytes received by interface.",
	    offsetof(struct figures_link, received_bytes), 1 },
	{ "network_sent_bytes_total", "Bytes sent by interface.",
	    offsetof(struct figures_link, sent_bytes), 1 },
};

#define COLUMNS(table) (table), sizeof(table) / sizeof((table)[0])

static const struct metrics_table metrics_disks = { "disk", COLUMNS(metrics_disk_columns),
	sizeof(struct figures_disk) };
static const struct metrics_table metrics_links = { "interface", COLUMNS(metrics_link_columns),
	sizeof(struct figures_link) };

static void
metrics_print_name(const char *rows, const struct metrics_table *table, size_t i, char *label)
{
	const char *name;

	memcpy(&name, rows + i * table->size, sizeof(name));
	metrics_label(name != NULL ? name : "", label);
}

/* Whether a row in front has the same label: two series must not have one. */
static bool
metrics_is_double(const char *rows, const struct metrics_table *table, size_t at, const char *label)
{
	char other[METRICS_LABEL_MAX];

	for (size_t i = 0; i < at; i++) {
		metrics_print_name(rows, table, i, other);
		if (strcmp(other, label) == 0)
			return true;
	}
	return false;
}

static void
metrics_print_rows(const void *array, size_t count, const struct metrics_table *table)
{
	const char *rows = array;
	char label[METRICS_LABEL_MAX];

	/* No agent tells of more. */
	if (count > METRICS_ROWS_MAX)
		count = METRICS_ROWS_MAX;
	for (size_t c = 0; count > 0 && c < table->columns_count; c++) {
		const struct metrics_column *column = &table->columns[c];

		metrics_head(column->name, "counter", column->help);
		for (size_t i = 0; i < count; i++) {
			uint64_t value;

			metrics_print_name(rows, table, i, label);
			if (metrics_is_double(rows, table, i, label))
				continue;
			memcpy(&value, rows + i * table->size + column->offset, sizeof(value));
			(void)printf(
			    METRICS_PREFIX "%s{%s=\"%s\"} ", column->name, table->label, label);
			if (column->unit > 1)
				(void)printf("%.6f\n", (double)value / column->unit);
			else
				(void)printf("%llu\n", (unsigned long long)value);
		}
	}
}

static void
metrics_print_cpu(const struct figures *guest)
{
	static const char *const modes[FIGURES_CPU_COUNT] = { "user", "nice", "system", "idle",
		"iowait", "irq", "softirq", "steal" };

	metrics_head(
	    "cpu_seconds_total", "counter", "What the guest's CPUs did, all of them together.");
	for (int i = 0; i < FIGURES_CPU_COUNT; i++)
		(void)printf(METRICS_PREFIX "cpu_seconds_total{mode=\"%s\"} %.3f\n", modes[i],
		    (double)guest->cpu_ms[i] / METRICS_MS_PER_S);
}

static void
metrics_print_pressure(const struct figures *guest)
{
	const struct {
		const char *resource;
		const uint64_t *us;
	} rows[] = {
		{ "cpu", guest->cpu_stall_us },
		{ "memory", guest->memory_stall_us },
		{ "io", guest->io_stall_us },
	};
	static const char *const shares[FIGURES_STALL_COUNT] = { "some", "full" };

	metrics_head("pressure_seconds_total", "counter",
	    "For how long some work, or all, was held up for want of it.");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (int j = 0; j < FIGURES_STALL_COUNT; j++)
			(void)printf(METRICS_PREFIX
			    "pressure_seconds_total{resource=\"%s\",share=\"%s\"} %.6f\n",
			    rows[i].resource, shares[j], (double)rows[i].us[j] / METRICS_US_PER_S);
	}
}

static void
metrics_print_amounts(const struct figures *guest)
{
	metrics_seconds(
	    "system_uptime_seconds", "Since the guest was started.", (double)guest->uptime_ms);
	metrics_gauge("cpus", "CPUs that are online.", guest->cpus);
	metrics_gauge("memory_total_bytes", "The guest's memory.", guest->memory[FIGURES_TOTAL]);
	metrics_gauge(
	    "memory_free_bytes", "Memory that nothing is in.", guest->memory[FIGURES_FREE]);
	metrics_gauge("memory_available_bytes", "Memory that programs could have.",
	    guest->memory[FIGURES_AVAILABLE]);
	metrics_gauge("swap_total_bytes", "The guest's swap.", guest->memory[FIGURES_SWAP_TOTAL]);
	metrics_gauge(
	    "swap_free_bytes", "Swap that nothing is in.", guest->memory[FIGURES_SWAP_FREE]);
	metrics_gauge("root_bytes", "Size of the root file system.", guest->root.bytes);
	metrics_gauge("root_free_bytes", "What is free of it.", guest->root.free_bytes);
	metrics_gauge("root_inodes", "Inodes of the root file system.", guest->root.inodes);
	metrics_gauge("root_free_inodes", "Those that are free.", guest->root.free_inodes);
}

/* ---- sessions ------------------------------------------------------------ */

static bool
metrics_is_double_session(const struct status *status, size_t at)
{
	for (size_t i = 0; i < at; i++) {
		if (status->slots[i].session == status->slots[at].session)
			return true;
	}
	return false;
}

static void
metrics_print_session(const struct status_slot *slot, const char *name)
{
	char label[METRICS_LABEL_MAX];

	metrics_label(slot->name != NULL ? slot->name : "", label);
	(void)printf(METRICS_PREFIX "%s{session=\"%llu\",name=\"%s\"} ", name,
	    (unsigned long long)slot->session, label);
}

static void
metrics_print_sessions(const struct status *status)
{
	metrics_head("session_memory_bytes", "gauge", "Memory that a session has, page cache too.");
	for (size_t i = 0; i < status->slots_count; i++) {
		const struct status_slot *slot = &status->slots[i];

		if (!slot->figures.has_memory || metrics_is_double_session(status, i))
			continue;
		metrics_print_session(slot, "session_memory_bytes");
		(void)printf("%llu\n", (unsigned long long)slot->figures.memory_bytes);
	}
	metrics_head("session_cpu_seconds_total", "counter", "CPU time that a session had.");
	for (size_t i = 0; i < status->slots_count; i++) {
		const struct status_slot *slot = &status->slots[i];

		if (!slot->figures.has_cpu || metrics_is_double_session(status, i))
			continue;
		metrics_print_session(slot, "session_cpu_seconds_total");
		(void)printf("%.6f\n", (double)slot->figures.cpu_us / METRICS_US_PER_S);
	}
}

void
metrics_print_guest(const struct status *status)
{
	const struct figures *guest = &status->guest;
	char kernel[METRICS_LABEL_MAX];

	if (!status->has_guest)
		return;
	metrics_label(guest->kernel != NULL ? guest->kernel : "", kernel);
	metrics_head("kernel_info", "gauge", "The guest's kernel.");
	(void)printf(METRICS_PREFIX "kernel_info{release=\"%s\"} 1\n", kernel);
	metrics_print_amounts(guest);
	metrics_print_cpu(guest);
	if (guest->has_pressure)
		metrics_print_pressure(guest);
	metrics_print_rows(guest->disks, guest->disks_count, &metrics_disks);
	metrics_print_rows(guest->links, guest->links_count, &metrics_links);
	metrics_print_sessions(status);
}
