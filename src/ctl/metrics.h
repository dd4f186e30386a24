/*
 * metrics: lines in the text exposition format of Prometheus, version 0.0.4:
 * https://prometheus.io/docs/instrumenting/exposition_formats/
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_METRICS_H
#define CTL_METRICS_H

#include "protocol/status.h"

/* In front of each name. */
#define METRICS_PREFIX "vmm_guest_"

#define METRICS_TEXT_MAX 64
#define METRICS_LABEL_MAX (2 * METRICS_TEXT_MAX)

#define METRICS_MS_PER_S 1000.0
#define METRICS_US_PER_S 1000000.0

/* The lines in front of the series of NAME, without the prefix. */
void metrics_head(const char *name, const char *type, const char *help);

/* Those, and the one series of it. */
void metrics_counter(const char *name, const char *help, uint64_t value);
void metrics_gauge(const char *name, const char *help, uint64_t value);
void metrics_seconds(const char *name, const char *help, double ms);

/* TEXT, which is the guest's, as a label's value: cut, and escaped. */
void metrics_label(const char *text, char label[METRICS_LABEL_MAX]);

/* What the guest's kernel counts, if the agent told it; and what each session uses. */
void metrics_print_guest(const struct status *status);

#endif
