/*
 * SPDX-License-Identifier: MIT
 */
#include "ctl/metrics.h"

#include <stdio.h>

#include "ctl/command.h"

void
metrics_head(const char *name, const char *type, const char *help)
{
	(void)printf("# HELP " METRICS_PREFIX "%s %s\n", name, help);
	(void)printf("# TYPE " METRICS_PREFIX "%s %s\n", name, type);
}

void
metrics_counter(const char *name, const char *help, uint64_t value)
{
	metrics_head(name, "counter", help);
	(void)printf(METRICS_PREFIX "%s %llu\n", name, (unsigned long long)value);
}

void
metrics_gauge(const char *name, const char *help, uint64_t value)
{
	metrics_head(name, "gauge", help);
	(void)printf(METRICS_PREFIX "%s %llu\n", name, (unsigned long long)value);
}

void
metrics_seconds(const char *name, const char *help, double ms)
{
	metrics_head(name, "gauge", help);
	(void)printf(METRICS_PREFIX "%s %.6f\n", name, ms / METRICS_MS_PER_S);
}

void
metrics_label(const char *text, char label[METRICS_LABEL_MAX])
{
	char printable[METRICS_TEXT_MAX];

	command_make_printable(text, printable, sizeof(printable));
	for (const char *p = printable; *p != '\0'; p++) {
		if (*p == '"' || *p == '\\')
			*label++ = '\\';
		*label++ = *p;
	}
	*label = '\0';
}
