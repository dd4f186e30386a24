/*
 * measure_durable: output that goes by a journal, with nobody else there and before
 * spectators, beside that of a plain session; and how long it takes to come back.
 *
 * SPDX-License-Identifier: MIT
 */
#include <err.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "floor.h"
#include "measure.h"
#include "platform/clock.h"
#include "platform/fd.h"
#include "protocol/frame.h"
#include "report.h"
#include "sample.h"
#include "talk.h"

#define DURABLE_ROUNDS 7
#define DURABLE_ATTACH_ROUNDS 300
#define DURABLE_MIB (1024.0 * 1024.0)
#define DURABLE_BYTES (128u * 1024 * 1024)
#define DURABLE_SPECTATORS_MAX 8

/* It waits for a line, so that all who are to be there can come before. */
#define DURABLE_WRITER                                                                             \
	"{\"cmd\":[\"sh\",\"-c\",\"read go; exec head -c 134217728 /dev/zero\"],\"report\":true"
#define DURABLE_NAME "\"name\":\"bench\""

struct audience {
	const struct target *target;
	int spectators;
};

static struct sample durable_agent;
static struct sample durable_floor;

static int
durable_ask(const struct target *target, uint8_t type, const char *json)
{
	return talk_open(target, VMM_GUEST_EXEC_PORT, type, json, strlen(json));
}

/* Nothing follows a STATUS here until the program is told to go on. */
static void
durable_await_status(int fd)
{
	(void)talk_receive(fd, VMM_GUEST_STDOUT, VMM_GUEST_STATUS, 0);
}

static void
durable_forget(const struct target *target)
{
	int CLEANUP_FD fd = durable_ask(target, VMM_GUEST_FORGET, "{" DURABLE_NAME "}");

	(void)talk_receive(fd, VMM_GUEST_STDOUT, VMM_GUEST_EXIT, 0);
}

/* ---- output ------------------------------------------------------------ */

/* A process that attaches, says so at THERE_FD, and reads to the end: what it loses it is
 * told, and is nobody else's business. */
static pid_t
durable_spectate(const struct target *target, int there_fd)
{
	pid_t pid = fork();
	int fd;

	if (pid < 0)
		err(1, "fork");
	if (pid > 0)
		return pid;
	fd = durable_ask(target, VMM_GUEST_ATTACH, "{" DURABLE_NAME ",\"input\":false}");
	durable_await_status(fd);
	if (write(there_fd, "", 1) != 1)
		err(1, "write");
	(void)talk_receive(fd, VMM_GUEST_STDOUT, VMM_GUEST_EXIT, 0);
	_exit(0);
}

static void
durable_gather(const struct audience *audience, pid_t *ret_pids)
{
	int ends[2];
	char byte;

	if (pipe(ends) < 0)
		err(1, "pipe");
	for (int i = 0; i < audience->spectators; i++)
		ret_pids[i] = durable_spectate(audience->target, ends[1]);
	fd_close(&ends[1]);
	for (int i = 0; i < audience->spectators; i++)
		if (read(ends[0], &byte, 1) != 1)
			errx(1, "a spectator has gone");
	fd_close(&ends[0]);
}

/* MiB a second, from the word to go to EXIT. */
static double
durable_speed(int fd)
{
	uint64_t start = clock_mono_us();
	uint64_t bytes;

	talk_send(fd, VMM_GUEST_STDIN, "go\n", 3);
	bytes = talk_receive(fd, VMM_GUEST_STDOUT, VMM_GUEST_EXIT, 0);
	if (bytes != DURABLE_BYTES)
		errx(1, "%llu bytes came, and not %u", (unsigned long long)bytes, DURABLE_BYTES);
	return (double)bytes / DURABLE_MIB / ((double)(clock_mono_us() - start) / 1e6);
}

static double
durable_output(const void *argument)
{
	const struct audience *audience = argument;
	pid_t spectators[DURABLE_SPECTATORS_MAX];
	int CLEANUP_FD fd = durable_ask(
	    audience->target, VMM_GUEST_START, DURABLE_WRITER "," DURABLE_NAME ",\"durable\":{}}");
	double speed;

	durable_await_status(fd);
	durable_gather(audience, spectators);
	speed = durable_speed(fd);
	for (int i = 0; i < audience->spectators; i++)
		floor_wait(spectators[i]);
	durable_forget(audience->target);
	return speed;
}

static double
durable_plain_output(const void *target)
{
	int CLEANUP_FD fd = durable_ask(target, VMM_GUEST_START, DURABLE_WRITER "}");

	durable_await_status(fd);
	return durable_speed(fd);
}

static void
durable_measure_output(const struct target *target)
{
	static const struct {
		const char *name;
		int spectators;
		enum report_target target_kind;
	} rows[] = {
		{ "durable stdout, 128 MiB, floor: a plain session's", 0, REPORT_RATIO_MIN },
		{ "the same before 1 spectator", 1, REPORT_NO_TARGET },
		{ "the same before 8 spectators", DURABLE_SPECTATORS_MAX, REPORT_NO_TARGET },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct audience audience = { target, rows[i].spectators };

		sample_alternate((struct sample_side){ durable_output, &audience },
		    (struct sample_side){ durable_plain_output, target }, DURABLE_ROUNDS,
		    &durable_agent, &durable_floor);
		report_add((struct report_row){ rows[i].name, "MiB/s",
		    sample_percentile(&durable_agent, 50), sample_percentile(&durable_floor, 50),
		    rows[i].target_kind, 0.8 });
	}
}

/* ---- coming back -------------------------------------------------------- */

/* From connect to STATUS `attached`; its worker is free again when this returns. */
static double
durable_attach(const void *target)
{
	uint64_t start = clock_mono_us();
	int CLEANUP_FD fd = durable_ask(target, VMM_GUEST_ATTACH, "{" DURABLE_NAME "}");
	double us;
	char byte;

	durable_await_status(fd);
	us = (double)(clock_mono_us() - start);
	(void)shutdown(fd, SHUT_WR);
	while (recv(fd, &byte, 1, 0) > 0)
		;
	return us;
}

static double
durable_forget_nothing(const void *target)
{
	uint64_t start = clock_mono_us();
	int CLEANUP_FD fd = durable_ask(target, VMM_GUEST_FORGET, "{\"name\":\"nothing\"}");

	(void)talk_receive(fd, VMM_GUEST_STDOUT, VMM_GUEST_EXIT, VMM_GUEST_EXIT_NOT_MADE);
	return (double)(clock_mono_us() - start);
}

static void
durable_measure_attach(const struct target *target)
{
	int CLEANUP_FD fd = durable_ask(target, VMM_GUEST_START,
	    "{\"cmd\":[\"sh\",\"-c\",\"read go\"]," DURABLE_NAME ",\"durable\":{}}");

	durable_await_status(fd);
	sample_alternate((struct sample_side){ durable_attach, target },
	    (struct sample_side){ durable_forget_nothing, target }, DURABLE_ATTACH_ROUNDS,
	    &durable_agent, &durable_floor);
	report_add((struct report_row){ "ATTACH, floor: a FORGET of nothing", "us",
	    sample_percentile(&durable_agent, 50), sample_percentile(&durable_floor, 50),
	    REPORT_NO_TARGET, 0 });
	fd_close(&fd);
	fd = durable_ask(target, VMM_GUEST_ATTACH, "{" DURABLE_NAME "}");
	durable_await_status(fd);
	talk_send(fd, VMM_GUEST_STDIN, "go\n", 3);
	(void)talk_receive(fd, VMM_GUEST_STDOUT, VMM_GUEST_EXIT, 0);
	durable_forget(target);
}

void
measure_durable(const struct target *target)
{
	durable_measure_output(target);
	durable_measure_attach(target);
}
