/*
 * measure_files: one large file, read and written; many small ones.
 *
 * SPDX-License-Identifier: MIT
 */
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/sendfile.h>
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

#define FILES_ROUNDS 7
#define FILES_MIB (1024.0 * 1024.0)
#define FILES_PATH_MAX 128

struct files_case {
	const struct target *target;
	char path[FILES_PATH_MAX];
	uint64_t bytes;
	size_t frame; /* payload of a frame that is sent */
};

static double
files_speed(uint64_t bytes, uint64_t start_us)
{
	return (double)bytes / FILES_MIB / ((double)(clock_mono_us() - start_us) / 1e6);
}

/* Opens port 53 with a request for the case's path. */
static int
files_ask(const struct files_case *files, uint8_t type)
{
	char request[FILES_PATH_MAX + 32];
	int len = snprintf(request, sizeof(request), "{\"path\":\"%s\"}", files->path);

	return talk_open(files->target, VMM_GUEST_FILE_PORT, type, request, (size_t)len);
}

static double
files_agent_read(const void *argument)
{
	const struct files_case *files = argument;
	uint64_t start = clock_mono_us();
	int CLEANUP_FD fd = files_ask(files, VMM_GUEST_FILE_READ_REQ);

	if (talk_receive(fd, VMM_GUEST_FILE_DATA, VMM_GUEST_FILE_DONE, 0) != files->bytes)
		errx(1, "a file came that is too short");
	return files_speed(files->bytes, start);
}

static void
files_pair(int pair[2])
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		err(1, "socketpair");
}

static double
files_floor_read(const void *argument)
{
	const struct files_case *files = argument;
	uint64_t start = clock_mono_us();
	int pair[2];
	pid_t pid;

	files_pair(pair);
	pid = fork();
	if (pid < 0)
		err(1, "fork");
	if (pid == 0) {
		int fd = open(files->path, O_RDONLY | O_CLOEXEC);
		ssize_t n = fd < 0 ? -1 : 1;

		(void)close(pair[0]);
		while (n > 0)
			n = sendfile(pair[1], fd, NULL, files->bytes);
		_exit(n < 0);
	}
	fd_close(&pair[1]);
	if (floor_drain(pair[0]) != files->bytes)
		errx(1, "the floor's file is too short");
	floor_wait(pid);
	fd_close(&pair[0]);
	return files_speed(files->bytes, start);
}

static double
files_agent_write(const void *argument)
{
	static uint8_t zeros[VMM_GUEST_FRAME_MAX];
	const struct files_case *files = argument;
	uint64_t start = clock_mono_us();
	int CLEANUP_FD fd = files_ask(files, VMM_GUEST_FILE_WRITE_REQ);

	for (uint64_t left = files->bytes; left > 0;) {
		size_t step = left < files->frame ? (size_t)left : files->frame;

		talk_send(fd, VMM_GUEST_FILE_DATA, zeros, step);
		left -= step;
	}
	talk_send(fd, VMM_GUEST_FILE_DONE, NULL, 0);
	(void)talk_receive(fd, VMM_GUEST_FILE_DATA, VMM_GUEST_FILE_ACK, 0);
	return files_speed(files->bytes, start);
}

/* The file is a new one each time, as the agent's is. */
static double
files_floor_write(const void *argument)
{
	const struct files_case *files = argument;
	uint64_t start = clock_mono_us();
	int CLEANUP_FD file = -1;
	int pair[2];
	pid_t pid;

	(void)unlink(files->path);
	file = open(files->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (file < 0)
		err(1, "%s", files->path);
	files_pair(pair);
	pid = floor_copier(pair[1], file, pair[0]);
	fd_close(&pair[1]);
	floor_fill(pair[0], files->bytes, files->frame);
	fd_close(&pair[0]);
	floor_wait(pid);
	return files_speed(files->bytes, start);
}

static void
files_measure(struct files_case *agent, struct files_case *floor, const char *name, bool is_read,
    enum report_target target_kind)
{
	static struct sample agent_sample;
	static struct sample floor_sample;

	sample_alternate(
	    (struct sample_side){ is_read ? files_agent_read : files_agent_write, agent },
	    (struct sample_side){ is_read ? files_floor_read : files_floor_write, floor },
	    FILES_ROUNDS, &agent_sample, &floor_sample);
	report_add((struct report_row){ name, "MiB/s", sample_percentile(&agent_sample, 50),
	    sample_percentile(&floor_sample, 50), target_kind, 0.9 });
}

void
measure_files(const struct target *target, const char *folder)
{
	static const struct {
		const char *name;
		uint64_t bytes;
		size_t frame;
		bool is_read;
		enum report_target target_kind;
	} rows[] = {
		/* What is written first is what is read next. */
		{ "file write, 200 MiB", 200u << 20, 256u << 10, false, REPORT_RATIO_MIN },
		{ "file read, 200 MiB", 200u << 20, 0, true, REPORT_RATIO_MIN },
		{ "file write, 200 MiB, frames of 4 KiB", 200u << 20, 4u << 10, false,
		    REPORT_RATIO_MIN },
		{ "file write, 200 MiB, frames of 16 MiB", 200u << 20, 16u << 20, false,
		    REPORT_NO_TARGET },
		{ "file write, 1 MiB", 1u << 20, 256u << 10, false, REPORT_NO_TARGET },
		{ "file read, 1 MiB", 1u << 20, 0, true, REPORT_NO_TARGET },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct files_case agent = { target, "", rows[i].bytes, rows[i].frame };
		struct files_case floor = agent;

		(void)snprintf(agent.path, sizeof(agent.path), "%s/file", folder);
		(void)snprintf(floor.path, sizeof(floor.path), "%s/floor", folder);
		files_measure(&agent, &floor, rows[i].name, rows[i].is_read, rows[i].target_kind);
	}
}
