/*
 * status_metrics: the agent's STATUS for Prometheus. The format is that of
 * https://prometheus.io/docs/instrumenting/exposition_formats/
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/command.h"
#include "ctl/signal_name.h"
#include "ctl/status_text.h"

#define STATUS_METRICS_PREFIX "vmm_guest_"
#define STATUS_METRICS_MS_PER_S 1000.0
#define STATUS_METRICS_TEXT_MAX 64
#define STATUS_METRICS_LABEL_MAX (2 * STATUS_METRICS_TEXT_MAX)

static void
status_metrics_head(const char *name, const char *type, const char *help)
{
	(void)printf("# HELP " STATUS_METRICS_PREFIX "%s %s\n", name, help);
	(void)printf("# TYPE " STATUS_METRICS_PREFIX "%s %s\n", name, type);
}

static void
status_metrics_counter(const char *name, const char *help, uint64_t value)
{
	status_metrics_head(name, "counter", help);
	(void)printf(STATUS_METRICS_PREFIX "%s %llu\n", name, (unsigned long long)value);
}

static void
status_metrics_seconds(const char *name, const char *help, double ms)
{
	status_metrics_head(name, "gauge", help);
	(void)printf(STATUS_METRICS_PREFIX "%s %.6f\n", name, ms / STATUS_METRICS_MS_PER_S);
}

/* TEXT as a label's value: cut, and escaped. */
static void
status_metrics_label(const char *text, char label[STATUS_METRICS_LABEL_MAX])
{
	char printable[STATUS_METRICS_TEXT_MAX];

	command_make_printable(text, printable, sizeof(printable));
	for (const char *p = printable; *p != '\0'; p++) {
		if (*p == '"' || *p == '\\')
			*label++ = '\\';
		*label++ = *p;
	}
	*label = '\0';
}

static void
status_metrics_workers(const struct status *status)
{
	const struct {
		const char *state;
		uint32_t count;
	} states[] = {
		{ "idle", status->workers.idle },
		{ "exec", status->workers.exec },
		{ "look", status->workers.look },
		{ "file", status->workers.file },
		{ "control", status->workers.control },
	};

	status_metrics_head("workers", "gauge", "Workers by what they do.");
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		(void)printf(STATUS_METRICS_PREFIX "workers{state=\"%s\"} %u\n", states[i].state,
		    states[i].count);
	status_metrics_head("workers_configured", "gauge", "Workers that there should be.");
	(void)printf(STATUS_METRICS_PREFIX "workers_configured %u\n", status->workers.configured);
	status_metrics_head(
	    "workers_reserved", "gauge", "Workers that are kept for control requests.");
	(void)printf(STATUS_METRICS_PREFIX "workers_reserved %u\n", status->workers.reserved);
}

static void
status_metrics_deaths(const struct status *status)
{
	status_metrics_head("worker_deaths_total", "counter", "Workers that died, by signal.");
	for (int i = 0; i < STATUS_SIGNAL_MAX; i++) {
		char name[SIGNAL_NAME_MAX] = "none";

		if (i > 0)
			signal_name_format(i, name);
		if (i == 0 || status->worker_deaths.by_signal[i] > 0)
			(void)printf(STATUS_METRICS_PREFIX
			    "worker_deaths_total{signal=\"%s\"} %u\n",
			    name, status->worker_deaths.by_signal[i]);
	}
}

struct status_metrics_kind {
	char label[STATUS_METRICS_LABEL_MAX];
	unsigned count;
};

/* Adds one to the count of LABEL, which is put behind the COUNT that are there if it is
 * not one of them. Returns how many there are. */
static size_t
status_metrics_count(struct status_metrics_kind *kinds, size_t count, const char *label)
{
	size_t i = 0;

	while (i < count && strcmp(kinds[i].label, label) != 0)
		i++;
	(void)strlcpy(kinds[i].label, label, sizeof(kinds[i].label));
	kinds[i].count++;
	return i < count ? count : i + 1;
}

/* Sessions that run, counted by kind: by what becomes of it as a label, as two series
 * must not have the same. */
static int
status_metrics_running(const struct status *status)
{
	struct status_metrics_kind *kinds = calloc(status->slots_count + 1, sizeof(*kinds));
	char label[STATUS_METRICS_LABEL_MAX];
	size_t count = 0;

	if (kinds == NULL)
		return command_fail("out of memory");
	status_metrics_head("sessions_running", "gauge", "Sessions that run, by kind.");
	for (size_t i = 0; i < status->slots_count; i++) {
		status_metrics_label(status->slots[i].kind, label);
		count = status_metrics_count(kinds, count, label);
	}
	for (size_t i = 0; i < count; i++)
		(void)printf(STATUS_METRICS_PREFIX "sessions_running{kind=\"%s\"} %u\n",
		    kinds[i].label, kinds[i].count);
	free(kinds);
	return 0;
}

int
status_text_print_metrics(const struct status *status)
{
	char version[STATUS_METRICS_LABEL_MAX];

	status_metrics_label(status->version, version);
	status_metrics_head("agent_info", "gauge", "The agent's version.");
	(void)printf(STATUS_METRICS_PREFIX "agent_info{version=\"%s\"} 1\n", version);
	status_metrics_seconds(
	    "uptime_seconds", "Since the agent was started.", (double)status->uptime_ms);
	status_metrics_seconds(
	    "boot_seconds", "From the agent's start until it listened.", status->boot_ms);
	status_metrics_workers(status);
	status_metrics_deaths(status);
	if (status_metrics_running(status) != 0)
		return COMMAND_FAILED;
	status_metrics_counter(
	    "sessions_started_total", "Sessions begun.", status->sessions.started);
	status_metrics_counter(
	    "sessions_exited_total", "Sessions whose program exited.", status->sessions.exited);
	status_metrics_counter("sessions_signaled_total",
	    "Sessions whose program was ended by a signal.", status->sessions.signaled);
	status_metrics_counter("sessions_timed_out_total",
	    "Sessions that were ended by their timeout.", status->sessions.timeouts);
	status_metrics_counter("sessions_oom_total",
	    "Sessions that were killed for want of memory.", status->sessions.oom);
	status_metrics_counter("requests_refused_total",
	    "Requests refused as all workers were in use.", status->sessions.refused);
	status_metrics_counter("requests_bad_total", "Requests that could not be understood.",
	    status->sessions.bad_requests);
	status_metrics_counter("requests_stalled_total",
	    "Requests given up as a file of the guest did not answer.", status->sessions.stalled);
	status_metrics_counter(
	    "clock_syncs_total", "Times that the clock was set.", status->clock_syncs);
	status_metrics_head("shm_bytes", "gauge", "What lies in the guest's /dev/shm.");
	(void)printf(
	    STATUS_METRICS_PREFIX "shm_bytes %llu\n", (unsigned long long)status->shm_bytes);
	status_metrics_head("quiesced", "gauge", "Whether the guest stands still, or is about to.");
	(void)printf(STATUS_METRICS_PREFIX "quiesced %d\n", status->is_quiesced);
	return 0;
}
