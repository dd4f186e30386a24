/*
 * terminal: a program that writes to a terminal, by the agent and with nobody in between.
 *
 * SPDX-License-Identifier: MIT
 */
#include "terminal.h"

#include <err.h>
#include <pty.h>
#include <stddef.h>
#include <sys/socket.h>

#include "floor.h"
#include "platform/fd.h"
#include "protocol/frame.h"
#include "talk.h"

const struct terminal_program terminal_zeros = { "\"head\",\"-c\",\"16777216\",\"/dev/zero\"",
	{ "head", "-c", "16777216", "/dev/zero" }, 16777216 };

#define TERMINAL_ECHO                                                                              \
	"i=0; while [ $i -lt 50000 ]; do echo a line of 24 characters.; i=$((i+1)); done"
const struct terminal_program terminal_lines = { "\"sh\",\"-c\",\"" TERMINAL_ECHO "\"",
	{ "sh", "-c", TERMINAL_ECHO }, 50000 * 26 };

static void
terminal_expect(uint64_t bytes, uint64_t expected)
{
	if (bytes != expected)
		errx(1, "%llu bytes came, and not %llu", (unsigned long long)bytes,
		    (unsigned long long)expected);
}

void
terminal_run_agent(const struct target *target, const struct terminal_program *program)
{
	int CLEANUP_FD fd = talk_start(target, program->command, true);

	terminal_expect(talk_receive(fd, VMM_GUEST_STDOUT, VMM_GUEST_EXIT, 0), program->bytes);
}

void
terminal_run_floor(const struct terminal_program *program)
{
	const char *argv[] = { program->argv[0], program->argv[1], program->argv[2],
		program->argv[3], NULL };
	int pair[2];
	int master;
	int slave;
	pid_t pid;
	pid_t copier;

	if (openpty(&master, &slave, NULL, NULL, NULL) < 0)
		err(1, "openpty");
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		err(1, "socketpair");
	pid = floor_spawn(argv, slave, slave);
	fd_close(&slave);
	copier = floor_copier(master, pair[1], pair[0]);
	fd_close(&pair[1]);
	fd_close(&master);
	terminal_expect(floor_drain(pair[0]), program->bytes);
	floor_wait(pid);
	floor_wait(copier);
	fd_close(&pair[0]);
}
