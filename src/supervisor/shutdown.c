/*
 * shutdown: the end of the machine that the agent is PID 1 of.
 */
#include "supervisor/shutdown.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/clock.h"
#include "platform/fd.h"
#include "platform/log.h"
#include "platform/mount_point.h"
#include "platform/procs.h"

#define SHUTDOWN_SYNC_MS 10000
#define SHUTDOWN_POLL_MS 10

/* ---- what to do -------------------------------------------------------- */

static bool
shutdown_vendor_is(const char *vendor, const char *name)
{
	return strncmp(vendor, name, strlen(name)) == 0;
}

static enum shutdown_action
shutdown_by_vendor(void)
{
	char vendor[64];

	if (fd_read_file(AT_FDCWD, "/sys/class/dmi/id/sys_vendor", vendor, sizeof(vendor)) < 0)
		return SHUTDOWN_REBOOT;
	if (shutdown_vendor_is(vendor, "QEMU") || shutdown_vendor_is(vendor, "Cloud Hypervisor"))
		return SHUTDOWN_POWEROFF;
	return SHUTDOWN_REBOOT;
}

static bool
shutdown_can_power_off(void)
{
#if defined(__x86_64__) || defined(__i386__)
	return access("/sys/firmware/acpi/tables", F_OK) == 0;
#else
	return true; /* PSCI */
#endif
}

enum shutdown_action
shutdown_resolve(enum shutdown_action action)
{
	if (action == SHUTDOWN_AUTO)
		action = shutdown_by_vendor();
	if (action == SHUTDOWN_POWEROFF && !shutdown_can_power_off())
		action = SHUTDOWN_REBOOT;
	return action;
}

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

	(void)procs_walk(shutdown_visit, &round);
	return round.count;
}

/* ---- the machine ------------------------------------------------------- */

void
shutdown_file_systems(void)
{
	uint64_t deadline = clock_mono_ms() + SHUTDOWN_SYNC_MS;
	pid_t pid = fork();

	if (pid == 0) {
		sync();
		(void)mount_point_freeze_all();
		_exit(0);
	}
	while (pid > 0 && waitpid(pid, NULL, WNOHANG) == 0) {
		if (clock_mono_ms() >= deadline) {
			log_warnx("sync hangs: going on without it");
			return;
		}
		(void)poll(NULL, 0, SHUTDOWN_POLL_MS);
	}
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
		log_warn("reboot");
		(void)poll(NULL, 0, 1000);
	}
}
