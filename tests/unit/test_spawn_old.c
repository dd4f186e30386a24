/*
 * All that holds of a start (test_spawn) holds too where the kernel, or a filter,
 * lacks a call that it would rather use. A filter of seccomp(2) plays that kernel.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "platform/compat.h"

#define FIELD(member) (offsetof(struct seccomp_data, member))

/* Makes the system call NUMBER fail with ERROR where its third argument has a bit of
 * MASK, or always for a MASK of 0. */
static int
refuse(int number, uint32_t mask, int error)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, FIELD(nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 4),
		BPF_JUMP(BPF_JMP | BPF_JA, mask == 0 ? 2 : 0, 0, 0),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, FIELD(args[2])),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, mask, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = sizeof(filter) / sizeof(filter[0]), .filter = filter };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -1;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

/* The status of test_spawn, which lies beside us. */
static int
run_without(int number, uint32_t mask, int error)
{
	char path[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);
	int status;
	pid_t pid;

	assert_true(len > 0);
	path[len] = '\0';
	strcpy(strrchr(path, '/'), "/test_spawn");
	pid = fork();
	if (pid == 0) {
		if (refuse(number, mask, error) == 0)
			(void)execl(path, path, NULL);
		perror(path);
		_exit(99);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

/* CLOSE_RANGE_CLOEXEC is of Linux 5.11. */
static void
test_a_start_is_as_good_where_close_range_can_not_mark(void **state)
{
	(void)state;
	assert_int_equal(run_without(SYS_close_range, UINT32_MAX, EINVAL), 0);
}

/* Container run-times answer so for what they do not know. */
static void
test_a_start_is_as_good_where_there_is_no_clone3(void **state)
{
	(void)state;
	assert_int_equal(run_without(SYS_clone3, 0, ENOSYS), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_start_is_as_good_where_close_range_can_not_mark),
		cmocka_unit_test(test_a_start_is_as_good_where_there_is_no_clone3),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
