/*
 * orphans: makes COUNT processes whose parent ends without having waited for
 * them, one after the other, as fast as it can: whoever is process 1 has to.
 *
 * SPDX-License-Identifier: MIT
 */
#include <err.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* In a child by vfork(2): its own child has ended when it goes on. */
static _Noreturn void
leave_orphan(void)
{
	pid_t pid = vfork();

	if (pid == 0)
		_exit(0);
	_exit(pid < 0);
}

static void
make_orphan(void)
{
	pid_t pid = vfork();
	int status;

	if (pid < 0)
		err(1, "vfork");
	if (pid == 0)
		leave_orphan();
	if (waitpid(pid, &status, 0) != pid || status != 0)
		errx(1, "no orphan was made");
}

int
main(int argc, char **argv)
{
	if (argc != 2)
		errx(2, "usage: orphans COUNT");
	for (long left = strtol(argv[1], NULL, 10); left > 0; left--)
		make_orphan();
	return 0;
}
