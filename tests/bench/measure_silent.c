/*
 * measure_silent: how long whoever speaks waits beside a thousand connections that say
 * nothing.
 *
 * SPDX-License-Identifier: MIT
 */
#include <err.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "measure.h"
#include "platform/clock.h"
#include "platform/dial.h"
#include "platform/fd.h"
#include "protocol/frame.h"
#include "report.h"
#include "sample.h"
#include "talk.h"

#define SILENT_ROUNDS 5
#define SILENT_CONNECTIONS 1000
#define SILENT_CONNECT_MS 60000
#define SILENT_SPARE 64
#define SILENT_TARGET_MS 500

/* ms from connect to the answer's end. */
static double
silent_ask(const struct target *target)
{
	uint64_t start = clock_mono_us();
	int CLEANUP_FD fd = talk_open(target, VMM_GUEST_EXEC_PORT, VMM_GUEST_STATUS_REQ, NULL, 0);

	(void)talk_receive(fd, VMM_GUEST_STDOUT, VMM_GUEST_EXIT, 0);
	return (double)(clock_mono_us() - start) / 1e3;
}

static double
silent_ask_in_crowd(const void *target)
{
	static int crowd[SILENT_CONNECTIONS];
	const struct target *agent = target;
	double ms;

	for (int i = 0; i < SILENT_CONNECTIONS; i++) {
		int r =
		    dial_open(&agent->address, VMM_GUEST_EXEC_PORT, SILENT_CONNECT_MS, &crowd[i]);

		if (r < 0)
			errx(1, "connection %d that says nothing: %s", i, strerror(-r));
	}
	ms = silent_ask(agent);
	for (int i = 0; i < SILENT_CONNECTIONS; i++)
		fd_close(&crowd[i]);
	return ms;
}

static double
silent_ask_alone(const void *target)
{
	return silent_ask(target);
}

void
measure_silent(const struct target *target)
{
	static struct sample agent;
	static struct sample floor;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		err(1, "RLIMIT_NOFILE");
	if (limit.rlim_cur < SILENT_CONNECTIONS + SILENT_SPARE)
		limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		err(1, "RLIMIT_NOFILE");
	sample_alternate((struct sample_side){ silent_ask_in_crowd, target },
	    (struct sample_side){ silent_ask_alone, target }, SILENT_ROUNDS, &agent, &floor);
	report_add((struct report_row){ "STATUS beside 1,000 silent connections, the longest", "ms",
	    sample_percentile(&agent, 100), sample_percentile(&floor, 100), REPORT_VALUE_MAX,
	    SILENT_TARGET_MS });
}
