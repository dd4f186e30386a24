/*
 * SPDX-License-Identifier: MIT
 */
#include "supervisor/shutdown.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/log.h"
#include "platform/mount_point.h"
#include "platform/procs.h"
#include "platform/text.h"

/* Between two tries of reboot(2). */
#define SHUTDOWN_AGAIN_MS 1000

/* Where inits have their programs, and those what they call: our own PATH may not name it. */
#define SHUTDOWN_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define SHUTDOWN_PATH_MAX 4096

/* ---- the processes ----------------------------------------------------- */

struct shutdown_round {
	int signal;
	bool (*spare)(pid_t pid, void *context);
	void *context;
	int count;
};

static bool
shutdown_visit(const struct procs_entry *entry, void *context)
{
	struct shutdown_round *round = context;

	if (entry->pid == getpid() || entry->is_kernel_thread || entry->state == 'Z' ||
	    round->spare(entry->pid, round->context))
		return true;
	round->count++;
	(void)kill(entry->pid, round->signal);
	if (round->signal == SIGTERM)
		(void)kill(entry->pid, SIGCONT);
	return true;
}

int
shutdown_signal_all(int signal, bool (*spare)(pid_t pid, void *context), void *context)
{
	struct shutdown_round round = { .signal = signal, .spare = spare, .context = context };

	/* Where not all can be seen there may be one more. */
	if (procs_walk(shutdown_visit, &round) < 0)
		round.count++;
	return round.count;
}

/* ---- the machine ------------------------------------------------------- */

pid_t
shutdown_sync(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		sync();
		(void)mount_point_freeze_all();
		_exit(0);
	}
	if (pid < 0)
		log_error(-errno, "fork, to sync");
	return pid;
}

bool
shutdown_is_synced(pid_t pid)
{
	return pid < 0 || wait4(pid, NULL, WNOHANG, NULL) != 0;
}

_Noreturn void
shutdown_machine(enum shutdown_action action)
{
	static const unsigned commands[] = {
		[SHUTDOWN_AUTO] = RB_AUTOBOOT,
		[SHUTDOWN_REBOOT] = RB_AUTOBOOT,
		[SHUTDOWN_POWEROFF] = RB_POWER_OFF,
		[SHUTDOWN_HALT] = RB_HALT_SYSTEM,
	};

	for (;;) {
		(void)reboot((int)commands[action]);
		log_error(-errno, "reboot");
		(void)poll(NULL, 0, SHUTDOWN_AGAIN_MS);
	}
}

/* ---- by its init --------------------------------------------------------- */

static _Noreturn void
shutdown_become(const char *name)
{
	const char *const argv[] = { name, NULL };
	const char *given = getenv("PATH");
	char path[SHUTDOWN_PATH_MAX];
	sigset_t none;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	/* An empty entry would be the working directory. */
	if (given == NULL || given[0] == '\0')
		given = "/sbin";
	(void)text_format(path, sizeof(path), "PATH=%s:" SHUTDOWN_PATH, given);
	(void)putenv(path);
	(void)execvp(name, (char *const *)argv);
	log_error(-errno, "%s", name);
	_exit(1);
}

pid_t
shutdown_ask_init(enum shutdown_action action)
{
	static const char *const programs[] = {
		[SHUTDOWN_AUTO] = "reboot",
		[SHUTDOWN_REBOOT] = "reboot",
		[SHUTDOWN_POWEROFF] = "poweroff",
		[SHUTDOWN_HALT] = "halt",
	};
	pid_t pid = fork();

	if (pid == 0)
		shutdown_become(programs[action]);
	if (pid < 0)
		log_error(-errno, "fork, for %s", programs[action]);
	return pid > 0 ? pid : 0;
}
