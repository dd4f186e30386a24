/*
 * measure_streams: bytes from and to a program.
 *
 * SPDX-License-Identifier: MIT
 */
#include <err.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "floor.h"
#include "measure.h"
#include "platform/clock.h"
#include "platform/fd.h"
#include "protocol/frame.h"
#include "report.h"
#include "sample.h"
#include "talk.h"
#include "terminal.h"

#define STREAMS_ROUNDS 7
#define STREAMS_MIB (1024.0 * 1024.0)
#define STREAMS_BYTES (128u * 1024 * 1024)
#define STREAMS_SMALL 1024

/* MiB a second, of BYTES since START. */
static double
streams_speed(uint64_t bytes, uint64_t start_us)
{
	return (double)bytes / STREAMS_MIB / ((double)(clock_mono_us() - start_us) / 1e6);
}

static void
streams_expect(uint64_t bytes, uint64_t expected)
{
	if (bytes != expected)
		errx(1, "%llu bytes came, and not %llu", (unsigned long long)bytes,
		    (unsigned long long)expected);
}

static void
streams_pair(int pair[2])
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		err(1, "socketpair");
}

static void
streams_pipe(int ends[2])
{
	if (pipe2(ends, O_CLOEXEC) < 0)
		err(1, "pipe");
}

/* STDIN frames of LEN of BYTES zeros, then EOF, from a process of their own. Each goes by one
 * call and out of one piece, as what the floor is sent does. */
static pid_t
streams_start_sender(int fd, uint64_t bytes, size_t len)
{
	static uint8_t frame[VMM_GUEST_HEADER_LEN + VMM_GUEST_DATA_MAX];
	pid_t pid = fork();

	if (pid < 0)
		err(1, "fork");
	if (pid > 0)
		return pid;
	frame_header_format(frame, VMM_GUEST_STDIN, (uint32_t)len);
	for (; bytes > 0; bytes -= len) {
		int r = fd_write_full(fd, frame, VMM_GUEST_HEADER_LEN + len);

		if (r < 0)
			errx(1, "write: error %d", -r);
	}
	talk_send(fd, VMM_GUEST_EOF, NULL, 0);
	_exit(0);
}

/* ---- output ------------------------------------------------------------ */

static const char *const streams_head[] = { "head", "-c", "134217728", "/dev/zero", NULL };

static double
streams_agent_output(const void *target)
{
	uint64_t start = clock_mono_us();
	int CLEANUP_FD fd =
	    talk_start(target, "\"head\",\"-c\",\"134217728\",\"/dev/zero\"", false);

	streams_expect(talk_receive(fd, VMM_GUEST_STDOUT, VMM_GUEST_EXIT, 0), STREAMS_BYTES);
	return streams_speed(STREAMS_BYTES, start);
}

static double
streams_floor_output(const void *ignored)
{
	uint64_t start = clock_mono_us();
	int ends[2];
	int pair[2];
	pid_t program;
	pid_t copier;

	(void)ignored;
	streams_pipe(ends);
	streams_pair(pair);
	program = floor_spawn(streams_head, -1, ends[1]);
	fd_close(&ends[1]);
	copier = floor_copier(ends[0], pair[1], pair[0]);
	fd_close(&pair[1]);
	fd_close(&ends[0]);
	streams_expect(floor_drain(pair[0]), STREAMS_BYTES);
	floor_wait(program);
	floor_wait(copier);
	fd_close(&pair[0]);
	return streams_speed(STREAMS_BYTES, start);
}

/* ---- input ------------------------------------------------------------- */

static double
streams_agent_input_of(const void *target, size_t len)
{
	uint64_t start = clock_mono_us();
	int CLEANUP_FD fd = talk_start(target, "\"sh\",\"-c\",\"exec cat >/dev/null\"", false);
	pid_t sender = streams_start_sender(fd, STREAMS_BYTES, len);

	(void)talk_receive(fd, VMM_GUEST_STDOUT, VMM_GUEST_EXIT, 0);
	floor_wait(sender);
	return streams_speed(STREAMS_BYTES, start);
}

static double
streams_agent_input(const void *target)
{
	return streams_agent_input_of(target, VMM_GUEST_DATA_MAX);
}

static double
streams_agent_small_input(const void *target)
{
	return streams_agent_input_of(target, STREAMS_SMALL);
}

static double
streams_floor_input_of(size_t len)
{
	static const char *const cat[] = { "sh", "-c", "exec cat >/dev/null", NULL };
	uint64_t start = clock_mono_us();
	int ends[2];
	int pair[2];
	pid_t program;
	pid_t copier;

	streams_pipe(ends);
	streams_pair(pair);
	program = floor_spawn(cat, ends[0], -1);
	fd_close(&ends[0]);
	copier = floor_copier(pair[1], ends[1], pair[0]);
	fd_close(&pair[1]);
	fd_close(&ends[1]);
	floor_fill(pair[0], STREAMS_BYTES, len);
	fd_close(&pair[0]);
	floor_wait(copier);
	floor_wait(program);
	return streams_speed(STREAMS_BYTES, start);
}

static double
streams_floor_input(const void *ignored)
{
	(void)ignored;
	return streams_floor_input_of(VMM_GUEST_DATA_MAX);
}

static double
streams_floor_small_input(const void *ignored)
{
	(void)ignored;
	return streams_floor_input_of(STREAMS_SMALL);
}

/* ---- both at once ------------------------------------------------------ */

static double
streams_agent_both(const void *target)
{
	uint64_t start = clock_mono_us();
	int CLEANUP_FD fd = talk_start(target, "\"cat\"", false);
	pid_t sender = streams_start_sender(fd, STREAMS_BYTES, VMM_GUEST_DATA_MAX);

	streams_expect(talk_receive(fd, VMM_GUEST_STDOUT, VMM_GUEST_EXIT, 0), STREAMS_BYTES);
	floor_wait(sender);
	return streams_speed(STREAMS_BYTES, start);
}

static double
streams_floor_both(const void *ignored)
{
	static const char *const cat[] = { "cat", NULL };
	uint64_t start = clock_mono_us();
	int pids[3];
	int in[2];
	int out[2];
	int to[2];
	int from[2];

	(void)ignored;
	streams_pipe(in);
	streams_pipe(out);
	streams_pair(to);
	streams_pair(from);
	pids[0] = floor_spawn(cat, in[0], out[1]);
	fd_close(&in[0]);
	fd_close(&out[1]);
	pids[1] = floor_copier(to[1], in[1], to[0]);
	fd_close(&to[1]);
	fd_close(&in[1]);
	pids[2] = floor_copier(out[0], from[1], to[0]);
	fd_close(&out[0]);
	fd_close(&from[1]);
	if (fork() == 0) {
		floor_fill(to[0], STREAMS_BYTES, VMM_GUEST_DATA_MAX);
		_exit(0);
	}
	fd_close(&to[0]);
	streams_expect(floor_drain(from[0]), STREAMS_BYTES);
	fd_close(&from[0]);
	for (int i = 0; i < 3; i++)
		floor_wait(pids[i]);
	(void)wait(NULL);
	return streams_speed(STREAMS_BYTES, start);
}

/* ---- a terminal -------------------------------------------------------- */

static double
streams_agent_tty(const void *target)
{
	uint64_t start = clock_mono_us();

	terminal_run_agent(target, &terminal_zeros);
	return streams_speed(terminal_zeros.bytes, start);
}

static double
streams_floor_tty(const void *ignored)
{
	uint64_t start = clock_mono_us();

	(void)ignored;
	terminal_run_floor(&terminal_zeros);
	return streams_speed(terminal_zeros.bytes, start);
}

static double
streams_agent_lines(const void *target)
{
	uint64_t start = clock_mono_us();

	terminal_run_agent(target, &terminal_lines);
	return streams_speed(terminal_lines.bytes, start);
}

static double
streams_floor_lines(const void *ignored)
{
	uint64_t start = clock_mono_us();

	(void)ignored;
	terminal_run_floor(&terminal_lines);
	return streams_speed(terminal_lines.bytes, start);
}

void
measure_streams(const struct target *target)
{
	static const struct {
		const char *name;
		double (*agent)(const void *argument);
		double (*floor)(const void *argument);
		double target; /* 0: none */
	} rows[] = {
		{ "stdout, 128 MiB", streams_agent_output, streams_floor_output, 0.9 },
		{ "stdin, 128 MiB", streams_agent_input, streams_floor_input, 0.9 },
		{ "stdin, 128 MiB, frames of 1 KiB", streams_agent_small_input,
		    streams_floor_small_input, 0.9 },
		{ "stdin and stdout at once, 128 MiB each", streams_agent_both, streams_floor_both,
		    0 },
		{ "output of a terminal, 16 MiB", streams_agent_tty, streams_floor_tty, 1.0 },
		{ "the same, 50,000 lines one by one", streams_agent_lines, streams_floor_lines,
		    0.9 },
	};
	static struct sample agent;
	static struct sample floor;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		sample_alternate((struct sample_side){ rows[i].agent, target },
		    (struct sample_side){ rows[i].floor, NULL }, STREAMS_ROUNDS, &agent, &floor);
		report_add((struct report_row){ rows[i].name, "MiB/s",
		    sample_percentile(&agent, 50), sample_percentile(&floor, 50),
		    rows[i].target > 0 ? REPORT_RATIO_MIN : REPORT_NO_TARGET, rows[i].target });
	}
}
