/*
 * status_metrics: the agent's STATUS for Prometheus.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/command.h"
#include "ctl/metrics.h"
#include "ctl/signal_name.h"
#include "ctl/status_text.h"

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

	metrics_head("workers", "gauge", "Workers by what they do.");
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		(void)printf(
		    METRICS_PREFIX "workers{state=\"%s\"} %u\n", states[i].state, states[i].count);
	metrics_head("workers_configured", "gauge", "Workers that there should be.");
	(void)printf(METRICS_PREFIX "workers_configured %u\n", status->workers.configured);
	metrics_head("workers_reserved", "gauge", "Workers that are kept for control requests.");
	(void)printf(METRICS_PREFIX "workers_reserved %u\n", status->workers.reserved);
}

static void
status_metrics_deaths(const struct status *status)
{
	metrics_head("worker_deaths_total", "counter", "Workers that died, by signal.");
	for (int i = 0; i < STATUS_SIGNAL_MAX; i++) {
		char name[SIGNAL_NAME_MAX] = "none";

		if (i > 0)
			signal_name_format(i, name);
		if (i == 0 || status->worker_deaths.by_signal[i] > 0)
			(void)printf(METRICS_PREFIX "worker_deaths_total{signal=\"%s\"} %u\n", name,
			    status->worker_deaths.by_signal[i]);
	}
}

struct status_metrics_kind {
	char label[METRICS_LABEL_MAX];
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
	char label[METRICS_LABEL_MAX];
	size_t count = 0;

	if (kinds == NULL)
		return command_fail("out of memory");
	metrics_head("sessions_running", "gauge", "Sessions that run, by kind.");
	for (size_t i = 0; i < status->slots_count; i++) {
		metrics_label(status->slots[i].kind, label);
		count = status_metrics_count(kinds, count, label);
	}
	for (size_t i = 0; i < count; i++)
		(void)printf(METRICS_PREFIX "sessions_running{kind=\"%s\"} %u\n", kinds[i].label,
		    kinds[i].count);
	free(kinds);
	return 0;
}

int
status_text_print_metrics(const struct status *status)
{
	char version[METRICS_LABEL_MAX];

	metrics_label(status->version, version);
	metrics_head("agent_info", "gauge", "The agent's version.");
	(void)printf(METRICS_PREFIX "agent_info{version=\"%s\"} 1\n", version);
	metrics_seconds(
	    "uptime_seconds", "Since the agent was started.", (double)status->uptime_ms);
	metrics_seconds(
	    "boot_seconds", "From the agent's start until it listened.", status->boot_ms);
	status_metrics_workers(status);
	status_metrics_deaths(status);
	if (status_metrics_running(status) != 0)
		return COMMAND_FAILED;
	metrics_counter("sessions_started_total", "Sessions begun.", status->sessions.started);
	metrics_counter(
	    "sessions_exited_total", "Sessions whose program exited.", status->sessions.exited);
	metrics_counter("sessions_signaled_total", "Sessions whose program was ended by a signal.",
	    status->sessions.signaled);
	metrics_counter("sessions_timed_out_total", "Sessions that were ended by their timeout.",
	    status->sessions.timeouts);
	metrics_counter("sessions_oom_total", "Sessions that were killed for want of memory.",
	    status->sessions.oom);
	metrics_counter("requests_refused_total", "Requests refused as all workers were in use.",
	    status->sessions.refused);
	metrics_counter("requests_bad_total", "Requests that could not be understood.",
	    status->sessions.bad_requests);
	metrics_counter("requests_stalled_total",
	    "Requests given up as a file of the guest did not answer.", status->sessions.stalled);
	metrics_counter("clock_syncs_total", "Times that the clock was set.", status->clock_syncs);
	metrics_gauge("shm_bytes", "What lies in the guest's /dev/shm.", status->shm_bytes);
	metrics_gauge(
	    "quiesced", "Whether the guest stands still, or is about to.", status->is_quiesced);
	metrics_print_guest(status);
	return 0;
}
