/*
 * main: the agent begins: what it is (PID 1 or a service), what the operator set,
 * then the supervisor.
 *
 * SPDX-License-Identifier: MIT
 */
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "agent/config.h"
#include "platform/cgroup_find.h"
#include "platform/clock.h"
#include "platform/fd.h"
#include "platform/log.h"
#include "platform/memory.h"
#include "platform/proc.h"
#include "platform/signals.h"
#include "platform/text.h"
#include "platform/users.h"
#include "protocol/kcmdline.h"
#include "boot/boot.h"
#include "boot/cgroups.h"
#include "supervisor/journals.h"
#include "supervisor/supervisor.h"

#define MAIN_PROGRAM "vmm-guest-agent"
#define MAIN_MS_PER_S 1000
#define MAIN_BYTES_PER_MIB (1024ull * 1024)

/* The kernel's own terminal type for init says nothing about a session's. */
#define MAIN_KERNEL_TERM "linux"

/* At this oom_score_adj the OOM killer never picks a process. */
#define MAIN_OOM_SCORE_NEVER (-1000)

/* The supervisor may need this many descriptors: a queue for each worker. */
#define MAIN_NOFILE 8192

/* What sessions of PID 1 may have open, as systemd has it: the kernel lets its init have 4096. */
#define MAIN_SESSION_NOFILE 1024
#define MAIN_SESSION_NOFILE_MAX 524288

static void
main_complain(const char *text)
{
	log_warnx("%s", text);
}

/* Reads the configuration. As PID 1, nothing in it can stop the boot; as a service, a
 * wrong option is an error. */
static void
main_configure(struct config *config, int argc, char **argv, bool is_init)
{
	char line[KCMDLINE_MAX];

	config_init(config);
	if (fd_read_file(proc_dir_fd(), "cmdline", line, sizeof(line)) > 0)
		config_read_kernel(config, line, main_complain);
	if (config_read_argv(config, argc, argv, main_complain) > 0 && !is_init)
		exit(2);
	if (!is_init && config->help) {
		config_print_help(MAIN_PROGRAM);
		exit(0);
	}
	if (!is_init && config->version) {
		(void)printf("%s %s\n", MAIN_PROGRAM, PACKAGE_VERSION);
		exit(0);
	}
	log_init(MAIN_PROGRAM, config->log, config->log_to);
}

/* The home of the user that the agent itself is. */
static const char *
main_find_home(void)
{
	static struct run_as user;
	const char *problem;
	char uid[16];

	(void)text_format(uid, sizeof(uid), "%u", geteuid());
	if (users_lookup(USERS_DIRECTORY, uid, &user, &problem) == 0 &&
	    faccessat(AT_FDCWD, user.home, X_OK, 0) == 0)
		return user.home;
	return "/";
}

/* Whether the service manager has exempted us from the OOM killer. If the whole pool
 * inherited that, the kernel could kill only the rest of the guest. */
static bool
main_is_protected(void)
{
	char text[16];

	/* strtoul(3) takes a sign; one of its family is enough to bind. */
	return fd_read_file(proc_dir_fd(), "self/oom_score_adj", text, sizeof(text)) > 0 &&
	       (long)strtoul(text, NULL, 10) == MAIN_OOM_SCORE_NEVER;
}

/* Raises the limit of descriptors for the agent. Returns what sessions get: the old one, as
 * PID 1 a higher one; zero: the agent's. */
static struct rlimit
main_raise_nofile(bool is_init)
{
	struct rlimit old = { 0 };
	struct rlimit raised;

	if (getrlimit(RLIMIT_NOFILE, &old) < 0 || (!is_init && old.rlim_cur >= MAIN_NOFILE))
		return (struct rlimit){ 0 };
	if (is_init) {
		old.rlim_cur = MAIN_SESSION_NOFILE;
		if (old.rlim_max < MAIN_SESSION_NOFILE_MAX)
			old.rlim_max = MAIN_SESSION_NOFILE_MAX;
	}
	raised = old;
	raised.rlim_cur = MAIN_NOFILE;
	if (raised.rlim_max < MAIN_NOFILE)
		raised.rlim_max = MAIN_NOFILE;
	/* The operator may have set fs.nr_open lower. */
	while (setrlimit(RLIMIT_NOFILE, &raised) < 0) {
		if (raised.rlim_max <= MAIN_NOFILE)
			return (struct rlimit){ 0 };
		raised.rlim_max /= 2;
		old.rlim_max = raised.rlim_max;
	}
	return old;
}

/* /dev/shm, if it is in memory, for STATUS. */
static int
main_open_shm(void)
{
	int CLEANUP_FD fd = open("/dev/shm", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct statfs status;

	return fd >= 0 && fstatfs(fd, &status) == 0 && status.f_type == TMPFS_MAGIC ? fd_steal(&fd)
										    : -1;
}

static struct session_settings
main_session_settings(const struct config *config, bool is_init)
{
	const char *term = getenv("TERM");

	return (struct session_settings){
		.max_file_bytes = config->max_file_mib * MAIN_BYTES_PER_MIB,
		.stall_timeout_ms = (int)config->stall_timeout * MAIN_MS_PER_S,
		.home = main_find_home(),
		.dns = config->dns,
		.term = term != NULL && strcmp(term, MAIN_KERNEL_TERM) != 0 ? term : NULL,
		.session_cgroups_fd = boot_cgroups_sessions_fd(),
		.shm_fd = main_open_shm(),
		.nofile = main_raise_nofile(is_init),
	};
}

/* What all journals may hold: of the guest's memory, or of what a service may have of it. */
static uint64_t
main_limit_journals(const struct config *config)
{
	struct sysinfo info = { 0 };
	uint64_t limit = cgroup_find_memory_max();
	uint64_t memory;

	if (config->once || (config->workers > 0 && config->workers < JOURNAL_WORKERS_MIN))
		return 0;
	(void)sysinfo(&info);
	memory = (uint64_t)info.totalram * info.mem_unit;
	return journals_limit(limit < memory ? limit : memory, config->journals_mib);
}

static void
main_boot(const struct config *config, bool is_begun, uint64_t journals_max)
{
	struct boot_settings settings = {
		.hostname = config->hostname,
		.dns = config->dns,
		.wants_cgroups = config->cgroup != 0,
		.logs_to_kernel = config->log_to == LOG_TARGET_KMSG,
		.journals_max = journals_max,
		.kernel_ip = config->kernel_ip,
	};

	if (!is_begun)
		boot_begin();
	boot_finish(&settings);
}

int
main(int argc, char **argv, char **environment)
{
	static struct config config;
	static struct supervisor_settings settings;
	uint64_t started_us = clock_mono_us();
	bool is_init = getpid() == 1;
	uint64_t journals_max;

	if (is_init)
		supervisor_block_signals();
	signals_reset();
	fd_open_standard(true);
	fd_close_inherited();
	memory_refuse_huge_pages();
	setproctitle_init(argc, argv, environment);
	if (is_init)
		boot_begin();
	(void)proc_init();
	main_configure(&config, argc, argv, is_init);
	journals_max = main_limit_journals(&config);
	if (is_init || config.boot)
		main_boot(&config, is_init, journals_max);
	else if (config.cgroup != 0 && !config.once)
		boot_cgroups_as_service();
	if (boot_cgroups_sessions_fd() < 0 && !config.once)
		log_info("no cgroups for sessions: each is its process group");
	settings = (struct supervisor_settings){
		.worker = { .session = main_session_settings(&config, is_init),
		    .any_peer = config.any_peer != 0,
		    .exec_port = config.exec_port,
		    .file_port = config.file_port,
		    .recycle = config.recycle,
		    .is_protected = is_init || config.boot != 0 || main_is_protected(),
		    .first_frame_timeout_ms = (int)config.first_frame_timeout * MAIN_MS_PER_S },
		.listen = config.listen,
		.workers = config.workers,
		.reserved = config.reserved,
		.journals_max = journals_max,
		.ready_port = config.ready_port,
		.notify = config.notify,
		.notify_socket = is_init ? NULL : getenv("NOTIFY_SOCKET"),
		.is_init = is_init,
		.on_exit = config.on_exit,
		.ends_guest = config.on_shutdown != 0,
		.started_us = started_us,
	};
	if (config.once && !is_init)
		supervisor_run_once(&settings);
	supervisor_run(&settings);
}
