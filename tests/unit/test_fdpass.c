/*
 * A descriptor put into the queue of a socket pair and taken out again.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "platform/fd.h"
#include "platform/fdpass.h"
#include "open_fds.h"

static void
test_what_is_put_in_comes_out_close_on_exec(void **state)
{
	int CLEANUP_FD read_fd = -1;
	int CLEANUP_FD write_fd = -1;
	int CLEANUP_FD taken_fd = -1;
	int pair[2];
	char byte = 0;

	(void)state;
	assert_int_equal(fdpass_open(&read_fd, &write_fd), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(fdpass_put(write_fd, pair[0], NULL, 0), 0);
	/* FD stays the caller's. */
	assert_true(fcntl(pair[0], F_GETFD) >= 0);
	assert_int_equal(close(pair[0]), 0);
	assert_int_equal(fdpass_take(read_fd, &taken_fd, NULL, 0), 0);
	assert_int_equal(fcntl(taken_fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(write(taken_fd, "x", 1), 1);
	assert_int_equal(read(pair[1], &byte, 1), 1);
	assert_int_equal(byte, 'x');
	(void)close(pair[1]);
}

static void
test_a_note_goes_with_a_descriptor_and_one_of_another_length_is_refused(void **state)
{
	static const char note[] = "of so many bytes";
	char taken[sizeof(note)] = "";
	int CLEANUP_FD read_fd = -1;
	int CLEANUP_FD write_fd = -1;
	int CLEANUP_FD taken_fd = -1;
	int CLEANUP_FD proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int before;

	(void)state;
	assert_int_equal(fdpass_open(&read_fd, &write_fd), 0);
	before = open_fds_count(proc_fd);
	assert_int_equal(fdpass_put(write_fd, STDIN_FILENO, note, sizeof(note)), 0);
	assert_int_equal(fdpass_put(write_fd, STDIN_FILENO, note, sizeof(note) - 1), 0);
	assert_int_equal(fdpass_take(read_fd, &taken_fd, taken, sizeof(taken)), 0);
	assert_string_equal(taken, note);
	fd_close(&taken_fd);
	assert_int_equal(fdpass_take(read_fd, &taken_fd, taken, sizeof(taken)), -EBADMSG);
	assert_int_equal(taken_fd, -1);
	assert_int_equal(open_fds_count(proc_fd), before);
}

static void
test_an_empty_queue_does_not_wait(void **state)
{
	int CLEANUP_FD read_fd = -1;
	int CLEANUP_FD write_fd = -1;
	int taken_fd = -7;

	(void)state;
	assert_int_equal(fdpass_open(&read_fd, &write_fd), 0);
	assert_int_equal(fcntl(read_fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(write_fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fdpass_take(read_fd, &taken_fd, NULL, 0), -EAGAIN);
	assert_int_equal(taken_fd, -7);
}

static void
test_a_full_queue_does_not_wait_and_loses_nothing(void **state)
{
	int CLEANUP_FD read_fd = -1;
	int CLEANUP_FD write_fd = -1;
	int put = 0;
	int taken_fd;

	(void)state;
	assert_int_equal(fdpass_open(&read_fd, &write_fd), 0);
	while (fdpass_put(write_fd, STDIN_FILENO, NULL, 0) == 0)
		put++;
	assert_true(put >= 1);
	for (; put > 0; put--) {
		assert_int_equal(fdpass_take(read_fd, &taken_fd, NULL, 0), 0);
		(void)close(taken_fd);
	}
	assert_int_equal(fdpass_take(read_fd, &taken_fd, NULL, 0), -EAGAIN);
}

static void
test_it_outlives_the_process_that_put_it_there(void **state)
{
	int CLEANUP_FD read_fd = -1;
	int CLEANUP_FD write_fd = -1;
	int CLEANUP_FD taken_fd = -1;
	int pair[2];
	int status;
	pid_t pid;
	char byte;

	(void)state;
	assert_int_equal(fdpass_open(&read_fd, &write_fd), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	pid = fork();
	if (pid == 0)
		_exit(fdpass_put(write_fd, pair[0], NULL, 0) == 0 ? 0 : 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	(void)close(pair[0]);
	/* The other side sees no end: what is queued keeps the connection open. */
	assert_int_equal(recv(pair[1], &byte, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(fdpass_take(read_fd, &taken_fd, NULL, 0), 0);
	fd_close(&taken_fd);
	assert_int_equal(recv(pair[1], &byte, 1, MSG_DONTWAIT), 0);
	(void)close(pair[1]);
}

static void
test_what_is_dropped_is_closed(void **state)
{
	int CLEANUP_FD read_fd = -1;
	int CLEANUP_FD write_fd = -1;
	int taken_fd = -1;
	int pair[2];
	char byte;

	(void)state;
	assert_int_equal(fdpass_open(&read_fd, &write_fd), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(fdpass_put(write_fd, pair[0], NULL, 0), 0);
	(void)close(pair[0]);
	assert_int_equal(fdpass_drop(read_fd), 0);
	assert_int_equal(recv(pair[1], &byte, 1, MSG_DONTWAIT), 0);
	assert_int_equal(fdpass_take(read_fd, &taken_fd, NULL, 0), -EAGAIN);
	assert_int_equal(fdpass_drop(read_fd), -EAGAIN); /* empty: it does not wait */
	(void)close(pair[1]);
}

static void
test_a_message_without_a_descriptor_is_refused(void **state)
{
	int CLEANUP_FD read_fd = -1;
	int CLEANUP_FD write_fd = -1;
	int taken_fd = -7;

	(void)state;
	assert_int_equal(fdpass_open(&read_fd, &write_fd), 0);
	assert_int_equal(send(write_fd, "x", 1, 0), 1);
	assert_int_equal(fdpass_take(read_fd, &taken_fd, NULL, 0), -EBADMSG);
	assert_int_equal(taken_fd, -7);
	assert_int_equal(fdpass_put(write_fd, -1, NULL, 0), -EBADF);
}

/* What a worker puts there that has run wild. */
static void
test_of_several_descriptors_one_comes_out_and_the_others_are_closed(void **state)
{
	int CLEANUP_FD read_fd = -1;
	int CLEANUP_FD write_fd = -1;
	int CLEANUP_FD proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int fds[2] = { STDIN_FILENO, STDOUT_FILENO };
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(fds))];
	} control = { .header = { .cmsg_len = CMSG_LEN(sizeof(fds)),
			  .cmsg_level = SOL_SOCKET,
			  .cmsg_type = SCM_RIGHTS } };
	char byte = 0;
	struct iovec piece = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr message = { .msg_iov = &piece,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control) };
	int taken_fd;
	int before;

	(void)state;
	memcpy(CMSG_DATA(&control.header), fds, sizeof(fds));
	assert_int_equal(fdpass_open(&read_fd, &write_fd), 0);
	assert_int_equal(sendmsg(write_fd, &message, 0), 1);
	before = open_fds_count(proc_fd);
	assert_int_equal(fdpass_take(read_fd, &taken_fd, NULL, 0), 0);
	(void)close(taken_fd);
	assert_int_equal(open_fds_count(proc_fd), before);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_put_in_comes_out_close_on_exec),
		cmocka_unit_test(
		    test_a_note_goes_with_a_descriptor_and_one_of_another_length_is_refused),
		cmocka_unit_test(test_an_empty_queue_does_not_wait),
		cmocka_unit_test(test_a_full_queue_does_not_wait_and_loses_nothing),
		cmocka_unit_test(test_it_outlives_the_process_that_put_it_there),
		cmocka_unit_test(test_what_is_dropped_is_closed),
		cmocka_unit_test(test_a_message_without_a_descriptor_is_refused),
		cmocka_unit_test(
		    test_of_several_descriptors_one_comes_out_and_the_others_are_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
