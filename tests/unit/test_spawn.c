/*
 * A program is started with nothing of ours, and where it can't be, why is told.
 * The program that looks at what it was given is this one, with an argument.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "platform/fd.h"
#include "platform/oom_score.h"
#include "platform/proc.h"
#include "platform/signals.h"
#include "platform/spawn.h"
#include "scratch.h"
#include "open_fds.h"

#define REPORT_ARG "--report-on-yourself"
#define DESCRIPTORS_MAX 256
#define SOMEBODY 54321

static _Atomic int32_t child_pid;
static char self[PATH_MAX];

/* What the started program saw, as it came through the pipe. */
struct report {
	uint64_t descriptors; /* of the first 64 */
	int more_descriptors; /* above */
	int mask_is_empty;
	int dispositions_are_default;
	int leads_session;
	mode_t umask;
	uid_t uid;
	gid_t gid;
	int groups;
	char oom[8];
	char cwd[PATH_MAX];
	char variable[64];
	char limit[32];
};

static int
report_on_ourselves(void)
{
	struct report report = { .dispositions_are_default = 1 };
	struct sigaction action;
	struct rlimit limit;
	sigset_t mask;

	for (int fd = 0; fd < 64; fd++)
		report.descriptors |= (uint64_t)(fcntl(fd, F_GETFD) >= 0) << fd;
	for (int fd = 64; fd < DESCRIPTORS_MAX; fd++)
		report.more_descriptors += fcntl(fd, F_GETFD) >= 0;
	(void)sigprocmask(SIG_SETMASK, NULL, &mask);
	report.mask_is_empty = sigisemptyset(&mask);
	for (int i = 1; i <= 64; i++) {
		/* The sanitizers' runtime has handlers of its own for these. */
		if (i == SIGSEGV || i == SIGBUS || i == SIGFPE)
			continue;
		if (sigaction(i, NULL, &action) == 0 && action.sa_handler != SIG_DFL)
			report.dispositions_are_default = 0;
	}
	report.leads_session = getsid(0) == getpid() && getpgrp() == getpid();
	report.umask = umask(0);
	report.uid = getuid();
	report.gid = getgid();
	report.groups = getgroups(0, NULL);
	(void)fd_read_file(AT_FDCWD, "/proc/self/oom_score_adj", report.oom, sizeof(report.oom));
	if (getcwd(report.cwd, sizeof(report.cwd)) == NULL)
		report.cwd[0] = '\0';
	if (getenv("VARIABLE") != NULL)
		(void)strlcpy(report.variable, getenv("VARIABLE"), sizeof(report.variable));
	(void)getrlimit(RLIMIT_NOFILE, &limit);
	(void)snprintf(report.limit, sizeof(report.limit), "%lu", (unsigned long)limit.rlim_cur);
	return fd_write_full(STDOUT_FILENO, &report, sizeof(report)) == 0 ? 7 : 1;
}

static const char *const no_variables[] = { NULL };
static const char *const self_argv[] = { self, REPORT_ARG, NULL };

static struct spawn_options
plain(const char *const *argv)
{
	return (struct spawn_options){
		.argv = argv,
		.envp = no_variables,
		.path = "/usr/bin:/bin",
		.working_dir = "/",
		.stdin_fd = STDIN_FILENO,
		.stdout_fd = STDERR_FILENO,
		.stderr_fd = STDERR_FILENO,
		.tty_fd = -1,
		.cgroup_fd = -1,
		.child_pid = &child_pid,
	};
}

static int
wait_for(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

/* Runs this program with OPTIONS and reads its report. */
static struct report
run_report(struct spawn_options options)
{
	struct spawn_failure failure;
	struct report report;
	int CLEANUP_FD pidfd = -1;
	int pipe_fds[2];
	pid_t pid;
	int status;
	int r;

	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	options.stdout_fd = pipe_fds[1];
	r = spawn_run(&options, &pid, &pidfd, &failure);
	if (r != 0)
		fail_msg("stage %d, %s", failure.stage, strerror(failure.error));
	assert_int_equal(fcntl(pidfd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(atomic_load(&child_pid), pid);
	(void)close(pipe_fds[1]);
	assert_int_equal(fd_read_full(pipe_fds[0], &report, sizeof(report)), sizeof(report));
	(void)close(pipe_fds[0]);
	status = wait_for(pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 7);
	return report;
}

/* It fails at STAGE with ERROR (0: any), and leaves no child and no descriptor. */
static struct spawn_failure
assert_fails(const struct spawn_options *options, enum spawn_stage stage, int error)
{
	struct spawn_failure failure = { .stage = SPAWN_OK };
	int before = open_fds_count(proc_dir_fd());
	int pidfd = -7;
	pid_t pid = -7;
	int r = spawn_run(options, &pid, &pidfd, &failure);

	assert_int_equal(failure.stage, stage);
	if (error != 0)
		assert_int_equal(failure.error, error);
	assert_int_equal(r, -failure.error);
	assert_int_equal(pid, -7);
	assert_int_equal(pidfd, -7);
	assert_int_equal(atomic_load(&child_pid), 0);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	assert_int_equal(open_fds_count(proc_dir_fd()), before);
	return failure;
}

static void
assert_exec_fails(const char *program, enum spawn_exec_problem problem)
{
	const char *const argv[] = { program, NULL };
	struct spawn_options options = plain(argv);

	options.path = scratch_dir;
	if (assert_fails(&options, SPAWN_EXEC, 0).problem != problem)
		fail_msg("%s: another problem than %d", program, problem);
}

static void
test_a_program_gets_three_descriptors_and_no_other(void **state)
{
	int low = open("/dev/null", O_RDONLY); /* without O_CLOEXEC, as a careless library's */
	int high = fcntl(low, F_DUPFD, 200);
	struct report report = run_report(plain(self_argv));

	(void)state;
	assert_true(report.descriptors == 7);
	assert_int_equal(report.more_descriptors, 0);
	(void)close(low);
	(void)close(high);
}

static void
test_descriptors_may_lie_where_others_are_to_go(void **state)
{
	const char *const argv[] = { "sh", "-c", "read x; echo \"$x\"; echo err >&2", NULL };
	struct spawn_options options = plain(argv);
	struct spawn_failure failure;
	int saved[3] = { dup(0), dup(1), dup(2) };
	char text[16] = "";
	int pidfd;
	pid_t pid;
	int r;

	(void)state;
	/* stdin is our 2, stdout our 0, stderr our 1: a ring. */
	scratch_write("in", "line\n", 0600);
	scratch_write("out", "", 0600);
	scratch_write("err", "", 0600);
	(void)close(2);
	assert_int_equal(open(scratch_path("in"), O_RDONLY), 2);
	(void)close(0);
	assert_int_equal(open(scratch_path("out"), O_WRONLY), 0);
	(void)close(1);
	assert_int_equal(open(scratch_path("err"), O_WRONLY), 1);
	options.stdin_fd = 2;
	options.stdout_fd = 0;
	options.stderr_fd = 1;
	r = spawn_run(&options, &pid, &pidfd, &failure);
	for (int i = 0; i < 3; i++) {
		(void)dup2(saved[i], i);
		(void)close(saved[i]);
	}
	assert_int_equal(r, 0);
	assert_int_equal(wait_for(pid), 0);
	fd_close(&pidfd);
	(void)fd_read_file(AT_FDCWD, scratch_path("out"), text, sizeof(text));
	assert_string_equal(text, "line\n");
	(void)fd_read_file(AT_FDCWD, scratch_path("err"), text, sizeof(text));
	assert_string_equal(text, "err\n");
}

static void
on_signal(int signal)
{
	(void)signal;
}

static void
test_a_program_has_default_signals_though_ours_are_blocked_and_handled(void **state)
{
	struct sigaction handle = { .sa_handler = on_signal };
	struct sigaction saved;
	sigset_t all;
	sigset_t mask;
	struct report report;

	(void)state;
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, &mask);
	(void)sigaction(SIGPIPE, &handle, &saved);
	report = run_report(plain(self_argv));
	(void)sigaction(SIGPIPE, &saved, NULL);
	(void)sigprocmask(SIG_SETMASK, &mask, NULL);
	assert_true(report.mask_is_empty);
	assert_true(report.dispositions_are_default);
}

static void
test_a_program_leads_a_session_and_has_no_umask_of_ours(void **state)
{
	mode_t saved = umask(0777);
	struct report report = run_report(plain(self_argv));

	(void)state;
	(void)umask(saved);
	assert_true(report.leads_session);
	assert_int_equal(report.umask, 022);
	assert_string_equal(report.cwd, "/");
	assert_string_equal(report.oom, "0\n");
	assert_string_equal(report.variable, "");
}

static void
test_a_program_is_spared_no_more_than_others_and_we_as_before(void **state)
{
	char own[8];

	(void)state;
	assert_int_equal(proc_init(), 0);
	assert_int_equal(oom_score_init("500"), 0);
	assert_string_equal(run_report(plain(self_argv)).oom, "0\n");
	assert_true(fd_read_file(AT_FDCWD, "/proc/self/oom_score_adj", own, sizeof(own)) > 0);
	assert_string_equal(own, "500\n");
	/* What it was started with is as good as what it set itself. */
	assert_int_equal(oom_score_init(NULL), 0);
	assert_string_equal(run_report(plain(self_argv)).oom, "0\n");
	assert_true(fd_read_file(AT_FDCWD, "/proc/self/oom_score_adj", own, sizeof(own)) > 0);
	assert_string_equal(own, "500\n");
	(void)oom_score_init("0");
}

static void
test_environment_directory_and_limits_are_as_asked(void **state)
{
	const char *const envp[] = { "VARIABLE=a=b c", NULL };
	const struct spawn_rlimit limits[] = { { RLIMIT_NOFILE, { 123, 124 } } };
	struct spawn_options options = plain(self_argv);
	struct report report;

	(void)state;
	options.envp = envp;
	options.working_dir = scratch_dir;
	options.rlimits = limits;
	options.rlimits_count = 1;
	report = run_report(options);
	assert_string_equal(report.variable, "a=b c");
	assert_string_equal(report.cwd, scratch_dir);
	assert_string_equal(report.limit, "123");
}

static void
test_a_directory_that_may_be_missing_becomes_the_root(void **state)
{
	struct spawn_options options = plain(self_argv);

	(void)state;
	options.working_dir = scratch_path("none");
	options.working_dir_optional = true;
	assert_string_equal(run_report(options).cwd, "/");
}

static void
test_a_directory_that_must_be_there_is_told_by_its_stage(void **state)
{
	struct spawn_options options = plain(self_argv);

	(void)state;
	options.working_dir = scratch_path("none");
	(void)assert_fails(&options, SPAWN_WORKING_DIR, ENOENT);
	options.working_dir = self;
	(void)assert_fails(&options, SPAWN_WORKING_DIR, ENOTDIR);
}

static void
test_a_limit_that_cannot_be_set_is_told_by_its_number(void **state)
{
	const struct spawn_rlimit limits[] = { { RLIMIT_CORE, { 0, 0 } },
		{ RLIMIT_NOFILE, { 10, 5 } } };
	struct spawn_options options = plain(self_argv);

	(void)state;
	options.rlimits = limits;
	options.rlimits_count = 2;
	assert_int_equal(assert_fails(&options, SPAWN_RLIMIT, EINVAL).detail, RLIMIT_NOFILE);
}

static void
test_what_is_no_terminal_fails_the_setup(void **state)
{
	struct spawn_options options = plain(self_argv);
	int CLEANUP_FD fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)state;
	options.tty_fd = fd;
	(void)assert_fails(&options, SPAWN_SETUP, ENOTTY);
	options = plain(self_argv);
	options.stdout_fd = 250;
	(void)assert_fails(&options, SPAWN_SETUP, EBADF);
}

static void
test_a_cgroup_that_is_none_fails_before_there_is_a_child(void **state)
{
	struct spawn_options options = plain(self_argv);
	int CLEANUP_FD fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	options.cgroup_fd = fd;
	(void)assert_fails(&options, SPAWN_CLONE, 0);
}

static void
test_ids_that_cannot_be_had_are_told_by_their_stage(void **state)
{
	static struct run_as user = { .groups_count = 70000 }; /* above NGROUPS_MAX */
	struct spawn_options options = plain(self_argv);

	(void)state;
	options.user = &user;
	/* EPERM where we are not root. */
	(void)assert_fails(&options, SPAWN_USER, geteuid() == 0 ? EINVAL : EPERM);
}

/* Root becomes somebody else; nobody else can. */
static void
test_a_program_runs_with_the_ids_of_its_user(void **state)
{
	static struct run_as user = { .uid = SOMEBODY, .gid = SOMEBODY, .groups_count = 2 };
	struct spawn_options options = plain(self_argv);
	const char *const copy_argv[] = { scratch_path("report"), REPORT_ARG, NULL };
	const char *const cp_argv[] = { "cp", self, copy_argv[0], NULL };
	struct spawn_failure failure;
	struct report report;
	int pidfd;
	pid_t pid;

	(void)state;
	user.groups[0] = SOMEBODY + 1;
	user.groups[1] = SOMEBODY + 2;
	options.user = &user;
	if (geteuid() != 0) {
		(void)assert_fails(&options, SPAWN_USER, EPERM);
		return;
	}
	/* The build tree may be closed to others. */
	options = plain(cp_argv);
	assert_int_equal(spawn_run(&options, &pid, &pidfd, &failure), 0);
	assert_int_equal(wait_for(pid), 0);
	fd_close(&pidfd);
	options = plain(copy_argv);
	options.user = &user;
	report = run_report(options);
	assert_int_equal(report.uid, SOMEBODY);
	assert_int_equal(report.gid, SOMEBODY);
	assert_int_equal(report.groups, 2);
}

static void
test_a_program_that_is_not_there_is_not_found(void **state)
{
	(void)state;
	assert_exec_fails("no-such-program", SPAWN_EXEC_NOT_FOUND);
	assert_exec_fails(scratch_path("no-such-program"), SPAWN_EXEC_NOT_FOUND);
	assert_exec_fails("/dev/null/program", SPAWN_EXEC_NOT_FOUND);
	assert_int_equal(symlink("nowhere", scratch_path("dangling")), 0);
	assert_exec_fails("dangling", SPAWN_EXEC_NOT_FOUND);
}

static void
test_a_file_without_an_x_bit_or_a_directory_is_not_executable(void **state)
{
	(void)state;
	scratch_write("plain", "#!/bin/sh\n", 0644);
	assert_exec_fails("plain", SPAWN_EXEC_NOT_EXECUTABLE);
	assert_exec_fails(scratch_path("plain"), SPAWN_EXEC_NOT_EXECUTABLE);
	assert_exec_fails(scratch_dir, SPAWN_EXEC_NOT_EXECUTABLE);
	assert_int_equal(mkdir(scratch_path("directory"), 0755), 0);
	assert_exec_fails("directory", SPAWN_EXEC_NOT_EXECUTABLE);
}

static void
test_a_program_for_others_is_one_we_have_no_right_to(void **state)
{
	static const struct run_as user = { .uid = SOMEBODY, .gid = SOMEBODY };
	const char *const argv[] = { "theirs", NULL };
	struct spawn_options options = plain(argv);

	(void)state;
	options.path = scratch_dir;
	/* Root's rights are put off; others lack them for the owner's class. */
	if (geteuid() == 0)
		options.user = &user;
	scratch_write("theirs", "#!/bin/sh\n", geteuid() == 0 ? 0700 : 0011);
	assert_int_equal(assert_fails(&options, SPAWN_EXEC, EACCES).problem, SPAWN_EXEC_NO_RIGHT);
}

static void
test_a_missing_interpreter_is_told_from_a_missing_program(void **state)
{
	(void)state;
	scratch_write("script", "#!/no/such/interpreter\n", 0755);
	assert_exec_fails("script", SPAWN_EXEC_NO_INTERPRETER);
	assert_exec_fails(scratch_path("script"), SPAWN_EXEC_NO_INTERPRETER);
}

static void
test_what_no_machine_runs_has_the_wrong_format(void **state)
{
	(void)state;
	scratch_write("empty", "", 0755);
	assert_exec_fails("empty", SPAWN_EXEC_FORMAT);
	scratch_write("elf", "\177ELF but no more", 0755);
	assert_exec_fails("elf", SPAWN_EXEC_FORMAT);
	scratch_write("text", "echo no line with an interpreter\n", 0755);
	assert_exec_fails(scratch_path("text"), SPAWN_EXEC_FORMAT);
}

static void
test_the_search_goes_on_behind_what_cannot_be_run(void **state)
{
	const char *const argv[] = { "sh", "-c", "exit 3", NULL };
	struct spawn_options options = plain(argv);
	struct spawn_failure failure;
	char path[3 * PATH_MAX];
	int pidfd;
	pid_t pid;

	(void)state;
	scratch_write("sh", "no x bit", 0644);
	(void)snprintf(path, sizeof(path), "/no/such/dir:%s:%s/sh:/bin", scratch_dir, scratch_dir);
	options.path = path;
	assert_int_equal(spawn_run(&options, &pid, &pidfd, &failure), 0);
	assert_int_equal(wait_for(pid), 3 << 8);
	fd_close(&pidfd);
	/* Where nothing better comes, it is what is told. */
	(void)snprintf(path, sizeof(path), "/no/such/dir:%s:/also/none", scratch_dir);
	assert_int_equal(
	    assert_fails(&options, SPAWN_EXEC, EACCES).problem, SPAWN_EXEC_NOT_EXECUTABLE);
	assert_int_equal(unlink(scratch_path("sh")), 0);
}

static void
test_an_empty_entry_of_the_path_is_the_working_directory(void **state)
{
	const char *const argv[] = { "here", NULL };
	struct spawn_options options = plain(argv);
	const char *const paths[] = { "", ":/none", "/none:", "/none::/none" };
	struct spawn_failure failure;

	(void)state;
	scratch_write("here", "#!/bin/sh\nexit 4\n", 0755);
	options.working_dir = scratch_dir;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		int pidfd;
		pid_t pid;

		options.path = paths[i];
		assert_int_equal(spawn_run(&options, &pid, &pidfd, &failure), 0);
		assert_int_equal(wait_for(pid), 4 << 8);
		fd_close(&pidfd);
	}
}

static void
test_a_name_that_fits_no_path_is_not_found(void **state)
{
	static char name[2 * PATH_MAX];
	static char entry[2 * PATH_MAX];
	const char *const argv[] = { name, NULL };
	struct spawn_options options = plain(argv);

	(void)state;
	memset(name, 'n', sizeof(name) - 1);
	memset(entry, 'e', sizeof(entry) - 1);
	options.path = entry;
	(void)assert_fails(&options, SPAWN_EXEC, ENOENT);
	name[10] = '\0';
	(void)assert_fails(&options, SPAWN_EXEC, ENOENT);
	/* With a slash the kernel says so itself. */
	name[10] = 'n';
	name[0] = '/';
	(void)assert_fails(&options, SPAWN_EXEC, ENAMETOOLONG);
}

static int
setup(void **state)
{
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n < 0 || proc_init() < 0)
		return -1;
	return scratch_make(state);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_program_gets_three_descriptors_and_no_other),
		cmocka_unit_test(test_descriptors_may_lie_where_others_are_to_go),
		cmocka_unit_test(
		    test_a_program_has_default_signals_though_ours_are_blocked_and_handled),
		cmocka_unit_test(test_a_program_leads_a_session_and_has_no_umask_of_ours),
		cmocka_unit_test(test_a_program_is_spared_no_more_than_others_and_we_as_before),
		cmocka_unit_test(test_environment_directory_and_limits_are_as_asked),
		cmocka_unit_test(test_a_directory_that_may_be_missing_becomes_the_root),
		cmocka_unit_test(test_a_directory_that_must_be_there_is_told_by_its_stage),
		cmocka_unit_test(test_a_limit_that_cannot_be_set_is_told_by_its_number),
		cmocka_unit_test(test_what_is_no_terminal_fails_the_setup),
		cmocka_unit_test(test_a_cgroup_that_is_none_fails_before_there_is_a_child),
		cmocka_unit_test(test_ids_that_cannot_be_had_are_told_by_their_stage),
		cmocka_unit_test(test_a_program_runs_with_the_ids_of_its_user),
		cmocka_unit_test(test_a_program_that_is_not_there_is_not_found),
		cmocka_unit_test(test_a_file_without_an_x_bit_or_a_directory_is_not_executable),
		cmocka_unit_test(test_a_program_for_others_is_one_we_have_no_right_to),
		cmocka_unit_test(test_a_missing_interpreter_is_told_from_a_missing_program),
		cmocka_unit_test(test_what_no_machine_runs_has_the_wrong_format),
		cmocka_unit_test(test_the_search_goes_on_behind_what_cannot_be_run),
		cmocka_unit_test(test_an_empty_entry_of_the_path_is_the_working_directory),
		cmocka_unit_test(test_a_name_that_fits_no_path_is_not_found),
	};

	if (argc == 2 && strcmp(argv[1], REPORT_ARG) == 0)
		return report_on_ourselves();
	/* As the agent does, whatever it was started with. */
	signals_reset();
	return cmocka_run_group_tests(tests, setup, scratch_remove);
}
