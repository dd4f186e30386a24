/*
 * measure_sessions: programs started, one after the other and side by side.
 *
 * SPDX-License-Identifier: MIT
 */
#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bare.h"
#include "floor.h"
#include "measure.h"
#include "platform/clock.h"
#include "platform/fd.h"
#include "protocol/frame.h"
#include "report.h"
#include "sample.h"
#include "talk.h"

#define SESSIONS_LATENCY_ROUNDS 500
#define SESSIONS_BESIDE_ROUNDS 200
#define SESSIONS_RATE_ROUNDS 7
#define SESSIONS_RATE_RUNS 192
#define SESSIONS_BARE_CLIENTS 8

/* As many as may run programs in a pool of 64 with two kept for control. */
#define SESSIONS_FULL 62
#define SESSIONS_SECOND_US 1e6

struct crowd {
	const struct target *target; /* NULL: the floor */
	int clients;
};

static const char *const sessions_true[] = { "/bin/true", NULL };

static struct sample sessions_agent;
static struct sample sessions_floor;

static double
sessions_run_agent(const void *target)
{
	uint64_t start = clock_mono_us();
	int CLEANUP_FD fd = talk_start(target, "\"/bin/true\"", false);

	(void)talk_receive(fd, VMM_GUEST_STDOUT, VMM_GUEST_EXIT, 0);
	return (double)(clock_mono_us() - start);
}

static double
sessions_run_agent_waiting(const void *target)
{
	uint64_t start = clock_mono_us();
	int CLEANUP_FD fd = talk_start_waiting(target, "\"/bin/true\"");

	(void)talk_receive(fd, VMM_GUEST_STDOUT, VMM_GUEST_EXIT, 0);
	return (double)(clock_mono_us() - start);
}

static double
sessions_run_floor(const void *ignored)
{
	uint64_t start = clock_mono_us();

	(void)ignored;
	floor_wait(floor_spawn(sessions_true, -1, -1));
	return (double)(clock_mono_us() - start);
}

/* ---- one after the other ----------------------------------------------- */

static void
sessions_measure_latency(const struct target *target)
{
	static const struct {
		const char *name;
		double percent;
		enum report_target target_kind;
	} rows[] = {
		{ "exec of /bin/true, connect to EXIT, p50", 50, REPORT_RATIO_MAX },
		{ "exec of /bin/true, connect to EXIT, p90", 90, REPORT_NO_TARGET },
		{ "exec of /bin/true, connect to EXIT, p99", 99, REPORT_NO_TARGET },
	};

	sample_alternate((struct sample_side){ sessions_run_agent, target },
	    (struct sample_side){ sessions_run_floor, NULL }, SESSIONS_LATENCY_ROUNDS,
	    &sessions_agent, &sessions_floor);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		report_add((struct report_row){ rows[i].name, "us",
		    sample_percentile(&sessions_agent, rows[i].percent),
		    sample_percentile(&sessions_floor, rows[i].percent), rows[i].target_kind,
		    1.15 });
}

/* What most hosts do: one way there and back more than there need be. */
static void
sessions_measure_waiting(const struct target *target)
{
	sample_alternate((struct sample_side){ sessions_run_agent_waiting, target },
	    (struct sample_side){ sessions_run_floor, NULL }, SESSIONS_LATENCY_ROUNDS,
	    &sessions_agent, &sessions_floor);
	report_add((struct report_row){ "the same by a host that waits for OK, p50", "us",
	    sample_percentile(&sessions_agent, 50), sample_percentile(&sessions_floor, 50),
	    REPORT_RATIO_MAX, 1.25 });
}

/* ---- side by side ------------------------------------------------------ */

/* Each client is a process, which runs its share one after the other. */
static double
sessions_run_crowd(const void *argument)
{
	const struct crowd *crowd = argument;
	int share = (int)sample_few((size_t)(SESSIONS_RATE_RUNS / crowd->clients));
	pid_t clients[SESSIONS_FULL];
	uint64_t start = clock_mono_us();

	for (int i = 0; i < crowd->clients; i++) {
		clients[i] = fork();
		if (clients[i] < 0)
			err(1, "fork");
		if (clients[i] > 0)
			continue;
		for (int run = 0; run < share; run++) {
			if (crowd->target != NULL)
				(void)sessions_run_agent(crowd->target);
			else
				(void)sessions_run_floor(NULL);
		}
		_exit(0);
	}
	for (int i = 0; i < crowd->clients; i++)
		floor_wait(clients[i]);
	return share * crowd->clients * SESSIONS_SECOND_US / (double)(clock_mono_us() - start);
}

static void
sessions_measure_rate(const struct target *target, int clients)
{
	struct crowd agent = { target, clients };
	struct crowd floor = { NULL, clients };
	char name[64];

	sample_alternate((struct sample_side){ sessions_run_crowd, &agent },
	    (struct sample_side){ sessions_run_crowd, &floor }, SESSIONS_RATE_ROUNDS,
	    &sessions_agent, &sessions_floor);
	(void)snprintf(name, sizeof(name), "sessions a second, %d clients", clients);
	report_add((struct report_row){ name, "1/s", sample_percentile(&sessions_agent, 50),
	    sample_percentile(&sessions_floor, 50), REPORT_NO_TARGET, 0 });
}

/* ---- beside a server that promises nothing ------------------------------ */

static void
sessions_measure_bare_rate(const struct target *target, const struct target *bare)
{
	struct crowd agent = { target, SESSIONS_BARE_CLIENTS };
	struct crowd floor = { bare, SESSIONS_BARE_CLIENTS };

	sample_alternate((struct sample_side){ sessions_run_crowd, &agent },
	    (struct sample_side){ sessions_run_crowd, &floor }, SESSIONS_RATE_ROUNDS,
	    &sessions_agent, &sessions_floor);
	report_add((struct report_row){ "sessions a second, 8 clients, floor: a bare server", "1/s",
	    sample_percentile(&sessions_agent, 50), sample_percentile(&sessions_floor, 50),
	    REPORT_NO_TARGET, 0 });
}

static void
sessions_measure_bare(const struct target *target, const char *folder)
{
	struct target bare;
	pid_t pid = bare_start(&bare, folder, sessions_true, SESSIONS_BARE_CLIENTS);

	sample_alternate((struct sample_side){ sessions_run_agent, target },
	    (struct sample_side){ sessions_run_agent, &bare }, SESSIONS_LATENCY_ROUNDS,
	    &sessions_agent, &sessions_floor);
	report_add((struct report_row){ "exec of /bin/true, p50, floor: a bare server", "us",
	    sample_percentile(&sessions_agent, 50), sample_percentile(&sessions_floor, 50),
	    REPORT_NO_TARGET, 0 });
	sessions_measure_bare_rate(target, &bare);
	bare_stop(pid, &bare);
}

/* ---- control, and busy neighbours -------------------------------------- */

/* A time that no clock takes: the whole way of CLOCK_SYNC, and the machine's clock
 * stays as it is. */
static double
sessions_sync_clock(const void *target)
{
	uint8_t payload[VMM_GUEST_CLOCK_SYNC_LEN];
	uint64_t start = clock_mono_us();
	int CLEANUP_FD fd = -1;

	frame_clock_sync_format(payload, 0, UINT32_MAX);
	fd = talk_open(target, VMM_GUEST_EXEC_PORT, VMM_GUEST_CLOCK_SYNC, payload, sizeof(payload));
	(void)talk_receive(fd, VMM_GUEST_STDOUT, VMM_GUEST_EXIT, VMM_GUEST_EXIT_CONTROL_FAILED);
	return (double)(clock_mono_us() - start);
}

/* The floor of a round trip: a connection made, a byte there and back. */
static double
sessions_echo(const void *address)
{
	const struct address *echo = address;
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	uint64_t start = clock_mono_us();
	int CLEANUP_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char byte = 0;

	(void)strlcpy(un.sun_path, echo->path, sizeof(un.sun_path));
	if (fd < 0 || connect(fd, (struct sockaddr *)&un, sizeof(un)) < 0 ||
	    write(fd, &byte, 1) != 1 || read(fd, &byte, 1) != 1)
		err(1, "the echo");
	return (double)(clock_mono_us() - start);
}

/* Answers each connection's byte until it is killed. */
static pid_t
sessions_start_echo(struct address *ret)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char byte;
	pid_t pid;

	(void)snprintf(ret->path, sizeof(ret->path), "/tmp/vmm-guest-bench-echo.%d", getpid());
	(void)strlcpy(un.sun_path, ret->path, sizeof(un.sun_path));
	if (fd < 0 || bind(fd, (struct sockaddr *)&un, sizeof(un)) < 0 || listen(fd, 8) < 0)
		err(1, "the echo");
	pid = fork();
	if (pid < 0)
		err(1, "fork");
	while (pid == 0) {
		int CLEANUP_FD peer = accept(fd, NULL, NULL);

		if (peer < 0 || read(peer, &byte, 1) != 1 || write(peer, &byte, 1) != 1)
			continue;
	}
	fd_close(&fd);
	return pid;
}

static void
sessions_measure_control(const struct target *target, const char *name)
{
	struct address echo = { .kind = ADDRESS_UNIX };
	pid_t pid = sessions_start_echo(&echo);

	sample_alternate((struct sample_side){ sessions_sync_clock, target },
	    (struct sample_side){ sessions_echo, &echo }, SESSIONS_BESIDE_ROUNDS, &sessions_agent,
	    &sessions_floor);
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	(void)unlink(echo.path);
	report_add((struct report_row){ name, "us", sample_percentile(&sessions_agent, 50),
	    sample_percentile(&sessions_floor, 50), REPORT_NO_TARGET, 0 });
}

static void
sessions_measure_beside(const struct target *target, int busy)
{
	char name[64];

	sample_alternate((struct sample_side){ sessions_run_agent, target },
	    (struct sample_side){ sessions_run_floor, NULL }, SESSIONS_BESIDE_ROUNDS,
	    &sessions_agent, &sessions_floor);
	(void)snprintf(name, sizeof(name), "exec beside %d busy sessions, p50", busy);
	report_add((struct report_row){ name, "us", sample_percentile(&sessions_agent, 50),
	    sample_percentile(&sessions_floor, 50), REPORT_NO_TARGET, 0 });
}

/* Kills the program of a session, and sees the session's end. */
static void
sessions_end(int *fd)
{
	uint8_t payload[VMM_GUEST_SIGNAL_LEN];

	frame_signal_format(payload, SIGKILL);
	talk_send(*fd, VMM_GUEST_SIGNAL, payload, sizeof(payload));
	(void)talk_receive(
	    *fd, VMM_GUEST_STDOUT, VMM_GUEST_EXIT, VMM_GUEST_EXIT_SIGNAL_BASE + SIGKILL);
	fd_close(fd);
}

/* Sessions are made busy one by one; at the end only control is still served. */
static void
sessions_measure_crowded(const struct target *target)
{
	int busy[SESSIONS_FULL];

	for (int i = 0; i < SESSIONS_FULL; i++) {
		if (i == 1 || i == 8 || i == SESSIONS_FULL - 1)
			sessions_measure_beside(target, i);
		busy[i] = talk_start(target, "\"/bin/sleep\",\"1000\"", false);
	}
	sessions_measure_control(target, "clock sync round trip, 62 of 64 workers busy");
	for (int i = 0; i < SESSIONS_FULL; i++)
		sessions_end(&busy[i]);
}

void
measure_sessions(const struct target *target, const char *folder)
{
	sessions_measure_latency(target);
	sessions_measure_waiting(target);
	sessions_measure_rate(target, 1);
	sessions_measure_rate(target, 8);
	sessions_measure_rate(target, 32);
	sessions_measure_bare(target, folder);
	sessions_measure_control(target, "clock sync round trip");
	sessions_measure_crowded(target);
}
