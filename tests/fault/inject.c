/*
 * inject: runs a program whose system calls can be made to fail, one at a time.
 *
 *     inject SOCKET [ROLE CALL NTH ERRNO] PROGRAM [ARGUMENT...]
 *     inject --list
 *
 * It becomes PROGRAM. A process that is nobody's child here stays behind and is asked
 * by the kernel about each call (seccomp_unotify(2)) of the program and of all that comes
 * from it, which it lets pass but for the one that is to fail. That one is not made. What
 * the program's processes run after execve(2) is none of ours and never fails.
 *
 * On SOCKET (AF_UNIX, SOCK_SEQPACKET; it is made here) one who connects says, with one
 * message each, and each is answered:
 *
 *     fail ROLE CALL NTH ERRNO    the NTH such call from now on fails
 *     count                       none does; calls are counted
 *     stop                        back to nothing; says how many failed, and the counts:
 *                                 "HITS\nROLE CALL COUNT\n..."
 *
 * Roles: main (PROGRAM itself), worker (its children), child (theirs, before they run a
 * program of their own). A fault on the command line is there from the start, but for what
 * the dynamic loader does; with 0 for NTH all calls are counted and none fails. At the end
 * SOCKET.end then has what "stop" is answered with.
 *
 * SPDX-License-Identifier: MIT
 */
#include <err.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "calls.h"
#include "platform/compat.h"

#if defined(__x86_64__)
#define INJECT_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define INJECT_ARCH AUDIT_ARCH_AARCH64
#endif

#define INJECT_WORD_MAX 32
#define INJECT_ANSWER_MAX 16384

enum inject_role {
	INJECT_MAIN,
	INJECT_WORKER,
	INJECT_CHILD,
	INJECT_NOBODY,
};

static const char *const inject_roles[] = { "main", "worker", "child" };

struct inject_call {
	const char *name;
	int number;
	unsigned counts[INJECT_NOBODY];
};

#define INJECT_CALL(call) { .name = #call, .number = SYS_##call },

static struct inject_call inject_calls[] = { FAULT_CALLS(INJECT_CALL)
	    FAULT_CALLS_OLD(INJECT_CALL) };

#define INJECT_CALLS (sizeof(inject_calls) / sizeof(inject_calls[0]))

/* What is to be done with the calls that come. */
struct inject {
	pid_t main_pid;
	struct stat program;
	bool is_counting;
	bool has_started;	  /* the loader is through */
	const char *report;	  /* where the counts go at the end, or NULL */
	struct inject_call *call; /* that is to fail; NULL: none */
	enum inject_role role;
	unsigned nth;
	int error;
	unsigned hits;
};

/* ---- whose call it is --------------------------------------------------- */

/* Whether PID still runs the program itself. */
static bool
inject_is_ours(const struct inject *inject, pid_t pid)
{
	char path[64];
	struct stat st;

	(void)snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
	return stat(path, &st) == 0 && st.st_ino == inject->program.st_ino &&
	       st.st_dev == inject->program.st_dev;
}

static pid_t
inject_parent_of(pid_t pid)
{
	char path[64];
	char text[512];
	const char *end;
	int parent = 0;
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, text, sizeof(text) - 1);
	(void)close(fd);
	text[n > 0 ? n : 0] = '\0';
	end = strrchr(text, ')');
	if (end == NULL || sscanf(end, ") %*c %d", &parent) != 1)
		return 0;
	return parent;
}

/* The kernel names threads. */
static bool
inject_is_main(const struct inject *inject, pid_t tid)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d", (int)inject->main_pid, (int)tid);
	return tid == inject->main_pid || access(path, F_OK) == 0;
}

static enum inject_role
inject_role_of(const struct inject *inject, pid_t pid)
{
	if (!inject_is_ours(inject, pid))
		return INJECT_NOBODY;
	if (inject_is_main(inject, pid))
		return INJECT_MAIN;
	return inject_parent_of(pid) == inject->main_pid ? INJECT_WORKER : INJECT_CHILD;
}

static struct inject_call *
inject_find_call(int number)
{
	for (size_t i = 0; i < INJECT_CALLS; i++) {
		if (inject_calls[i].number == number)
			return &inject_calls[i];
	}
	return NULL;
}

/* ---- one call ----------------------------------------------------------- */

/* The errno that this call shall meet, or 0. */
static int
inject_judge(struct inject *inject, const struct seccomp_notif *notice)
{
	struct inject_call *call = inject_find_call(notice->data.nr);
	pid_t pid = (pid_t)notice->pid;
	enum inject_role role;

	if (!inject->has_started && pid == inject->main_pid) {
		/* The last that the loader does is to unmap its cache. */
		inject->has_started = notice->data.nr == SYS_munmap && inject_is_ours(inject, pid);
		return 0;
	}
	if (call == NULL || !inject->is_counting || (inject->call != NULL && inject->call != call))
		return 0;
	role = inject_role_of(inject, pid);
	if (role == INJECT_NOBODY)
		return 0;
	call->counts[role]++;
	if (call != inject->call || role != inject->role || call->counts[role] != inject->nth)
		return 0;
	inject->hits++;
	return inject->error;
}

static void
inject_answer_call(struct inject *inject, int notify_fd)
{
	struct seccomp_notif notice = { 0 };
	struct seccomp_notif_resp answer = { 0 };

	if (ioctl(notify_fd, SECCOMP_IOCTL_NOTIF_RECV, &notice) < 0)
		return; /* it was killed meanwhile */
	answer.id = notice.id;
	answer.error = -inject_judge(inject, &notice);
	if (answer.error == 0)
		answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	(void)ioctl(notify_fd, SECCOMP_IOCTL_NOTIF_SEND, &answer);
}

/* ---- who tells us what to do -------------------------------------------- */

static void
inject_reset(struct inject *inject)
{
	for (size_t i = 0; i < INJECT_CALLS; i++)
		memset(inject_calls[i].counts, 0, sizeof(inject_calls[i].counts));
	inject->call = NULL;
	inject->hits = 0;
	inject->is_counting = false;
}

static int
inject_arm(struct inject *inject, const char *role, const char *call, unsigned nth, int error)
{
	inject_reset(inject);
	inject->role = INJECT_MAIN;
	while (inject->role < INJECT_NOBODY && strcmp(inject_roles[inject->role], role) != 0)
		inject->role++;
	for (size_t i = 0; i < INJECT_CALLS; i++) {
		if (strcmp(inject_calls[i].name, call) == 0)
			inject->call = &inject_calls[i];
	}
	if (inject->role == INJECT_NOBODY || (inject->call == NULL && nth > 0) || error <= 0)
		return -EINVAL;
	inject->nth = nth;
	inject->error = error;
	inject->is_counting = true;
	return 0;
}

static void
inject_tell(const struct inject *inject, char *answer, size_t size)
{
	size_t len = (size_t)snprintf(answer, size, "%u\n", inject->hits);

	for (size_t i = 0; i < INJECT_CALLS * INJECT_NOBODY && len < size; i++) {
		const struct inject_call *one = &inject_calls[i / INJECT_NOBODY];
		size_t role = i % INJECT_NOBODY;

		if (one->counts[role] > 0)
			len += (size_t)snprintf(answer + len, size - len, "%s %s %u\n",
			    inject_roles[role], one->name, one->counts[role]);
	}
}

/* Leaves the counts for who reads them when all is over. */
static void
inject_report(const struct inject *inject)
{
	char answer[INJECT_ANSWER_MAX];
	char temporary[256];
	int fd;

	(void)snprintf(temporary, sizeof(temporary), "%s.new", inject->report);
	fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	inject_tell(inject, answer, sizeof(answer));
	if (fd >= 0 && write(fd, answer, strlen(answer)) > 0)
		(void)rename(temporary, inject->report);
}

static void
inject_obey(struct inject *inject, const char *order, char *answer, size_t size)
{
	char role[INJECT_WORD_MAX];
	char call[INJECT_WORD_MAX];
	unsigned nth;
	int error;

	(void)snprintf(answer, size, "ok");
	if (sscanf(order, "fail %31s %31s %u %d", role, call, &nth, &error) == 4) {
		if (inject_arm(inject, role, call, nth, error) < 0)
			(void)snprintf(answer, size, "what?");
		return;
	}
	if (strcmp(order, "stop") != 0) {
		inject_reset(inject);
		inject->is_counting = true;
		return;
	}
	inject_tell(inject, answer, size);
	inject_reset(inject);
}

/* One message of who is connected, or its going. */
static void
inject_serve(struct inject *inject, int *client_fd)
{
	char order[128];
	char answer[INJECT_ANSWER_MAX];
	ssize_t n = recv(*client_fd, order, sizeof(order) - 1, 0);

	if (n <= 0) {
		(void)close(*client_fd);
		*client_fd = -1;
		inject_reset(inject);
		return;
	}
	order[n] = '\0';
	inject_obey(inject, order, answer, sizeof(answer));
	(void)send(*client_fd, answer, strlen(answer), MSG_NOSIGNAL);
}

/* Until nobody is left who makes calls. */
static void
inject_watch(struct inject *inject, int notify_fd, int listen_fd)
{
	int client_fd = -1;

	for (;;) {
		struct pollfd polls[] = {
			{ .fd = notify_fd, .events = POLLIN },
			{ .fd = listen_fd, .events = POLLIN },
			{ .fd = client_fd, .events = POLLIN },
		};

		if (poll(polls, 3, -1) < 0)
			continue;
		if (polls[0].revents & POLLIN)
			inject_answer_call(inject, notify_fd);
		else if (polls[0].revents != 0)
			return;
		if (client_fd < 0 && polls[1].revents != 0)
			client_fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
		if (client_fd >= 0 && polls[2].revents != 0)
			inject_serve(inject, &client_fd);
	}
}

/* ---- the beginning ------------------------------------------------------ */

static int
inject_listen(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(address.sun_path))
		errx(2, "%s: too long", path);
	(void)strcpy(address.sun_path, path);
	(void)unlink(path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(fd, 8) < 0)
		err(2, "%s", path);
	return fd;
}

/* Has the kernel ask about all calls of the table, and munmap. Returns where it asks. */
static int
inject_install(void)
{
	static struct sock_filter code[INJECT_CALLS + 8];
	struct sock_fprog program = { .filter = code };
	unsigned short n = 0;
	int fd;

	code[n++] = (struct sock_filter)BPF_STMT(
	    BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
	code[n++] = (struct sock_filter)BPF_JUMP(
	    BPF_JMP | BPF_JEQ | BPF_K, INJECT_ARCH, 0, INJECT_CALLS + 2);
	code[n++] = (struct sock_filter)BPF_STMT(
	    BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i <= INJECT_CALLS; i++) {
		int number = i < INJECT_CALLS ? inject_calls[i].number : SYS_munmap;

		code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
		    (uint32_t)number, (uint8_t)(INJECT_CALLS - i + 1), 0);
	}
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
	program.len = n;
	fd = (int)syscall(
	    SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
	if (fd < 0)
		err(2, "seccomp");
	return fd;
}

/* The one who stays behind. The filter is put on by the other, its first call since is
 * the one that tells us where the kernel asks: by a number that we can take from it. */
static void
inject_stay(struct inject *inject, int word_fd, int listen_fd)
{
	int pid_fd = (int)syscall(SYS_pidfd_open, inject->main_pid, 0);
	int number;
	int fd;

	(void)setsid();
	for (int i = 0; i < 3; i++)
		(void)close(i);
	/* It is one more than the pipe's end, and is there once that is readable: until we
	 * have it nobody can say so. */
	if (read(word_fd, &number, sizeof(number)) != (ssize_t)sizeof(number))
		_exit(1);
	do {
		fd = (int)syscall(SYS_pidfd_getfd, pid_fd, number, 0);
	} while (fd < 0 && errno == EBADF && usleep(100) == 0);
	if (fd < 0)
		_exit(1);
	inject_watch(inject, fd, listen_fd);
	if (inject->report != NULL)
		inject_report(inject);
	_exit(0);
}

/* Leaves a process behind, as an orphan: the program is to have no child that it did
 * not make. */
static void
inject_leave_behind(struct inject *inject, int listen_fd)
{
	int words[2];
	int number;
	pid_t pid;

	if (pipe2(words, O_CLOEXEC) < 0)
		err(2, "pipe");
	pid = fork();
	if (pid == 0) {
		if (fork() == 0) {
			(void)close(words[1]);
			inject_stay(inject, words[0], listen_fd);
		}
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, NULL, 0) < 0)
		err(2, "fork");
	(void)close(words[0]);
	(void)close(listen_fd);
	/* The lowest free number is the next one's. */
	number = words[0] < listen_fd ? words[0] : listen_fd;
	if (write(words[1], &number, sizeof(number)) != (ssize_t)sizeof(number))
		err(2, "write");
	(void)close(words[1]);
	if (inject_install() != number)
		errx(2, "the kernel asks elsewhere");
}

int
main(int argc, char **argv)
{
	struct inject inject = { .main_pid = getpid() };
	char **program = argv + 2;
	char report[256];

	if (argc == 2 && strcmp(argv[1], "--list") == 0) {
		for (size_t i = 0; i < INJECT_CALLS; i++)
			(void)puts(inject_calls[i].name);
		return 0;
	}
	if (argc >= 7 && strchr(argv[2], '/') == NULL) {
		if (inject_arm(&inject, argv[2], argv[3], (unsigned)atoi(argv[4]), atoi(argv[5])) <
		    0)
			errx(2, "no such fault");
		(void)snprintf(report, sizeof(report), "%s.end", argv[1]);
		inject.report = report;
		program += 4;
	}
	if (argc < 3 || stat(program[0], &inject.program) < 0)
		errx(2, "usage: inject SOCKET [ROLE CALL NTH ERRNO] PROGRAM [ARGUMENT...]");
	inject_leave_behind(&inject, inject_listen(argv[1]));
	(void)execv(program[0], program);
	err(2, "%s", program[0]);
}
