/*
 * spawn: a program started in a child that shares our memory until it runs.
 *
 * Between clone and exec the child is us on another stack: it may write to its
 * own variables, to the struct spawn_child, and to nothing else; it allocates
 * nothing and leaves by exec or _exit alone.
 *
 * SPDX-License-Identifier: MIT
 */
#include "platform/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/compat.h"
#include "platform/fd.h"
#include "platform/io_result.h"
#include "platform/memory.h"
#include "platform/oom_score.h"
#include "platform/signals.h"

#define SPAWN_STACK_SIZE (64 * 1024)
#define SPAWN_UMASK 022
#define SPAWN_DEFAULT_DIR "/"

/* The sanitizers must not look at a stack that they were not told of. */
#define SPAWN_CHILD __attribute__((no_sanitize("address", "undefined"), noinline))

struct spawn_child {
	const struct spawn_options *options;
	bool has_handlers;
	enum spawn_stage at;	      /* what it is about to do, written by the child */
	struct spawn_failure failure; /* and this */
};

static MEMORY_LARGE _Alignas(64) char spawn_stack[SPAWN_STACK_SIZE];

/* ---- in the child ------------------------------------------------------ */

SPAWN_CHILD static bool
spawn_fail(struct spawn_child *child, enum spawn_stage stage, int error, int detail)
{
	child->failure.stage = stage;
	child->failure.error = error;
	child->failure.detail = detail;
	return false;
}

/* Moves the three descriptors to 0, 1 and 2 though some of them may lie there
 * already in another order. */
SPAWN_CHILD static bool
spawn_place_descriptors(const struct spawn_options *options)
{
	int wanted[3] = { options->stdin_fd, options->stdout_fd, options->stderr_fd };

	for (int i = 0; i < 3; i++) {
		if (wanted[i] < 3 && wanted[i] != i) {
			wanted[i] = fcntl(wanted[i], F_DUPFD_CLOEXEC, 3);
			if (wanted[i] < 0)
				return false;
		}
	}
	for (int i = 0; i < 3; i++) {
		if (wanted[i] == i ? fcntl(i, F_SETFD, 0) < 0 : dup2(wanted[i], i) < 0)
			return false;
	}
	return true;
}

SPAWN_CHILD static bool
spawn_set_rlimits(struct spawn_child *child)
{
	const struct spawn_options *options = child->options;

	for (size_t i = 0; i < options->rlimits_count; i++) {
		if (setrlimit(options->rlimits[i].resource, &options->rlimits[i].limit) < 0)
			return spawn_fail(
			    child, SPAWN_RLIMIT, errno, (int)options->rlimits[i].resource);
	}
	return true;
}

SPAWN_CHILD static bool
spawn_set_ids(const struct run_as *user)
{
	/* glibc's wrappers would tell other threads of it; there are none, and its
	 * bookkeeping is not meant for a child that shares our memory. */
	return syscall(SYS_setgroups, user->groups_count, user->groups) == 0 &&
	       syscall(SYS_setresgid, user->gid, user->gid, user->gid) == 0 &&
	       syscall(SYS_setresuid, user->uid, user->uid, user->uid) == 0;
}

/* Nothing has been ignored since the program's start (signals.h), and
 * CLONE_CLEAR_SIGHAND has removed the handlers. clone(2) has not, and a handler that ran
 * before exec would run in our memory. */
SPAWN_CHILD static void
spawn_reset_signals(const struct spawn_child *child)
{
	sigset_t none;

	if (child->has_handlers)
		signals_reset();
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Why execve(2) of PATH gave ERROR. */
SPAWN_CHILD static enum spawn_exec_problem
spawn_explain(const char *path, int error)
{
	struct stat status;

	if (error == ENOEXEC)
		return SPAWN_EXEC_FORMAT;
	if (error == EACCES) {
		if (fstatat(AT_FDCWD, path, &status, 0) < 0)
			return SPAWN_EXEC_NO_RIGHT;
		if (S_ISDIR(status.st_mode) || (status.st_mode & 0111) == 0)
			return SPAWN_EXEC_NOT_EXECUTABLE;
		return SPAWN_EXEC_NO_RIGHT;
	}
	if (error == ENOENT || error == ENOTDIR)
		return fstatat(AT_FDCWD, path, &status, 0) == 0 ? SPAWN_EXEC_NO_INTERPRETER
								: SPAWN_EXEC_NOT_FOUND;
	return SPAWN_EXEC_OTHER;
}

/* Tries PATH. BEST keeps the failure that says most: what is there but can't be
 * run stands over what is not there, as in execvp(3). It is the caller's own
 * until all has failed: the parent reads child->failure as soon as we run.
 * False: stop looking. */
SPAWN_CHILD static bool
spawn_try(const struct spawn_options *options, const char *path, struct spawn_failure *best)
{
	enum spawn_exec_problem problem;
	int error;

	(void)execve(
	    path, (char *const *)(uintptr_t)options->argv, (char *const *)(uintptr_t)options->envp);
	error = errno;
	problem = spawn_explain(path, error);
	if (best->problem == SPAWN_EXEC_NOT_FOUND)
		*best = (struct spawn_failure){ SPAWN_EXEC, problem, error, 0 };
	return problem == SPAWN_EXEC_NOT_FOUND || problem == SPAWN_EXEC_NO_RIGHT ||
	       problem == SPAWN_EXEC_NOT_EXECUTABLE;
}

/* Runs the program, or returns what was wrong with it. */
SPAWN_CHILD static struct spawn_failure
spawn_search(const struct spawn_options *options)
{
	struct spawn_failure best = { SPAWN_EXEC, SPAWN_EXEC_NOT_FOUND, ENOENT, 0 };
	const char *name = options->argv[0];
	const char *entry = options->path;
	size_t name_len = strlen(name);
	char candidate[PATH_MAX];

	if (strchr(name, '/') != NULL) {
		(void)spawn_try(options, name, &best);
		return best;
	}
	for (;;) {
		size_t len = strcspn(entry, ":");

		if (len + 1 + name_len + 1 <= sizeof(candidate)) {
			memcpy(candidate, entry, len);
			/* An empty entry is the working directory, as in execvp(3). */
			if (len > 0)
				candidate[len] = '/';
			memcpy(candidate + len + (len > 0), name, name_len + 1);
			if (!spawn_try(options, candidate, &best))
				return best;
		}
		if (entry[len] == '\0')
			return best;
		entry += len + 1;
	}
}

SPAWN_CHILD static bool
spawn_setup(struct spawn_child *child)
{
	const struct spawn_options *options = child->options;

	if (setsid() < 0)
		return spawn_fail(child, SPAWN_SETUP, errno, 0);
	if (options->tty_fd >= 0 && ioctl(options->tty_fd, TIOCSCTTY, 0) < 0)
		return spawn_fail(child, SPAWN_SETUP, errno, 0);
	if (!spawn_set_rlimits(child))
		return false;
	child->at = SPAWN_WORKING_DIR;
	/* Below the root, not where the agent was started. */
	if (options->working_dir[0] != '/' && chdir(SPAWN_DEFAULT_DIR) < 0)
		return spawn_fail(child, SPAWN_WORKING_DIR, errno, 0);
	if (chdir(options->working_dir) < 0 &&
	    (!options->working_dir_optional || chdir(SPAWN_DEFAULT_DIR) < 0))
		return spawn_fail(child, SPAWN_WORKING_DIR, errno, 0);
	if (!spawn_place_descriptors(options))
		return spawn_fail(child, SPAWN_SETUP, errno, 0);
	if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
		(void)close_range(3, ~0U, 0);
	(void)umask(SPAWN_UMASK);
	if (options->user != NULL && !spawn_set_ids(options->user))
		return spawn_fail(child, SPAWN_USER, errno, 0);
	return true;
}

SPAWN_CHILD static int
spawn_child_main(void *argument)
{
	struct spawn_child *child = argument;

	if (spawn_setup(child)) {
		spawn_reset_signals(child);
		child->at = SPAWN_EXEC;
		child->failure = spawn_search(child->options);
	}
	_exit(127);
}

/* ---- in the parent ----------------------------------------------------- */

#if defined(__x86_64__)
/* clone3(2) has no wrapper in glibc: with a stack of its own the child must not
 * return through the frame that made the call. */
static long
spawn_clone3(struct clone_args *args, int (*function)(void *), void *argument)
{
	register int (*r8)(void *) __asm__("r8") = function;
	register void *r9 __asm__("r9") = argument;
	long result;

	__asm__ volatile("syscall\n\t"
			 "testq %%rax, %%rax\n\t"
			 "jnz 1f\n\t"
			 "xorl %%ebp, %%ebp\n\t"
			 "movq %%r9, %%rdi\n\t"
			 "call *%%r8\n\t"
			 "hlt\n"
			 "1:"
			 : "=a"(result)
			 : "0"((long)SYS_clone3), "D"(args), "S"(sizeof(*args)), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory", "cc");
	return result;
}
#elif defined(__aarch64__)
static long
spawn_clone3(struct clone_args *args, int (*function)(void *), void *argument)
{
	register long x0 __asm__("x0") = (long)(uintptr_t)args;
	register long x1 __asm__("x1") = (long)sizeof(*args);
	register long x8 __asm__("x8") = SYS_clone3;
	register int (*x10)(void *) __asm__("x10") = function;
	register void *x11 __asm__("x11") = argument;

	__asm__ volatile("svc #0\n\t"
			 "cbnz x0, 1f\n\t"
			 "mov x29, xzr\n\t"
			 "mov x0, x11\n\t"
			 "blr x10\n\t"
			 "brk #0\n"
			 "1:"
			 : "+r"(x0)
			 : "r"(x1), "r"(x8), "r"(x10), "r"(x11)
			 : "memory", "cc");
	return x0;
}
#else
static long
spawn_clone3(struct clone_args *args, int (*function)(void *), void *argument)
{
	(void)args;
	(void)function;
	(void)argument;
	return -ENOSYS;
}
#endif

/* Where clone3(2) is not to be had (a seccomp filter, an old valgrind), clone(2) does
 * all but the cgroup, and has the child write its number itself. */
static long
spawn_clone_old(struct spawn_child *child, int *ret_pidfd)
{
	int pid;

	if (child->options->cgroup_fd >= 0)
		return -ENOSYS;
	child->has_handlers = true;
	pid = clone(spawn_child_main, spawn_stack + sizeof(spawn_stack),
	    CLONE_VM | CLONE_VFORK | CLONE_PIDFD | CLONE_CHILD_SETTID | SIGCHLD, child, ret_pidfd,
	    NULL, (pid_t *)(uintptr_t)child->options->child_pid);
	return io_result(pid);
}

static long
spawn_clone(struct spawn_child *child, int *ret_pidfd)
{
	struct clone_args args = {
		/* The kernel writes the number before the child runs, so that the supervisor
		 * finds it if we die in here. CLONE_CHILD_SETTID would have the child write it,
		 * which may be too late. */
		.flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD | CLONE_PARENT_SETTID |
			 CLONE_CLEAR_SIGHAND,
		.pidfd = (uintptr_t)ret_pidfd,
		.parent_tid = (uintptr_t)child->options->child_pid,
		.exit_signal = SIGCHLD,
		.stack = (uintptr_t)spawn_stack,
		.stack_size = sizeof(spawn_stack),
	};
	long pid;

	if (child->options->cgroup_fd >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (unsigned)child->options->cgroup_fd;
	}
	pid = spawn_clone3(&args, spawn_child_main, child);
	return pid == -ENOSYS ? spawn_clone_old(child, ret_pidfd) : pid;
}

int
spawn_run(const struct spawn_options *options, pid_t *ret_pid, int *ret_pidfd,
    struct spawn_failure *ret_failure)
{
	struct spawn_child child = { .options = options };
	int pidfd = -1;
	long pid;

	oom_score_expose();
	pid = spawn_clone(&child, &pidfd);
	oom_score_protect();
	if (pid < 0) {
		*ret_failure = (struct spawn_failure){ .stage = SPAWN_CLONE, .error = (int)-pid };
		return (int)pid;
	}
	if (child.failure.stage != SPAWN_OK) {
		atomic_store(options->child_pid, 0);
		while (wait4((pid_t)pid, NULL, 0, NULL) < 0 && errno == EINTR)
			continue;
		fd_close(&pidfd);
		*ret_failure = child.failure;
		return -child.failure.error;
	}
	*ret_failure = (struct spawn_failure){ .stage = child.at };
	*ret_pid = (pid_t)pid;
	*ret_pidfd = pidfd;
	return 0;
}
