/*
 * One line each, whatever a guest puts into it, and no more than the budget.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include <cmocka.h>

#include "platform/clock.h"
#include "platform/log.h"
#include "platform/log_output.h"

static char captured[16384];
static int saved_fd = -1;
static int capture_fd = -1;

static void
begin_capture(void)
{
	capture_fd = memfd_create("log", MFD_CLOEXEC);
	saved_fd = dup(STDERR_FILENO);
	assert_true(capture_fd >= 0 && saved_fd >= 0);
	assert_int_equal(dup2(capture_fd, STDERR_FILENO), STDERR_FILENO);
	log_output_open(false);
}

/* What has been logged since begin_capture(). */
static const char *
end_capture(void)
{
	ssize_t n = pread(capture_fd, captured, sizeof(captured) - 1, 0);

	(void)dup2(saved_fd, STDERR_FILENO);
	(void)close(saved_fd);
	(void)close(capture_fd);
	log_output_open(false);
	assert_true(n >= 0);
	captured[n] = '\0';
	return captured;
}

static size_t
count_lines(const char *text)
{
	size_t lines = 0;

	for (; *text != '\0'; text++)
		lines += *text == '\n';
	return lines;
}

static int
setup(void **state)
{
	(void)state;
	log_init("prog", LOG_LEVEL_INFO, LOG_TARGET_STDERR);
	log_set_process("");
	log_set_session(0);
	return 0;
}

static void
test_a_line_has_program_process_and_session_in_front(void **state)
{
	(void)state;
	begin_capture();
	log_info("plain %d", 1);
	log_set_process("worker 3");
	log_info("two");
	log_set_session(18446744073709551615u);
	log_warnx("three");
	log_set_session_name("build-1");
	log_info("named");
	log_set_session(0);
	log_info("four");
	assert_string_equal(end_capture(), "prog: plain 1\n"
					   "prog: worker 3: two\n"
					   "prog: worker 3: session 18446744073709551615: three\n"
					   "prog: worker 3: session 18446744073709551615 "
					   "build-1: named\n"
					   "prog: worker 3: four\n");
}

static void
test_an_error_tells_its_number_in_words(void **state)
{
	(void)state;
	begin_capture();
	log_error(-ENOENT, "open %s", "/x");
	assert_string_equal(end_capture(), "prog: open /x: No such file or directory\n");
}

static void
test_levels_leave_out_what_is_below(void **state)
{
	(void)state;
	begin_capture();
	log_debug("no");
	log_init("prog", LOG_LEVEL_ERROR, LOG_TARGET_STDERR);
	log_info("no");
	log_warnx("error");
	log_init("prog", LOG_LEVEL_DEBUG, LOG_TARGET_STDERR);
	log_debug("debug");
	assert_string_equal(end_capture(), "prog: error\nprog: debug\n");
}

static void
test_control_characters_do_not_forge_a_line(void **state)
{
	char every[32];
	const char *line;

	(void)state;
	for (int i = 0; i < 31; i++)
		every[i] = (char)(i + 1);
	every[31] = '\0';
	begin_capture();
	log_warnx("%s|\x7f|%s", every, "x\nprog: forged\r\n\033[2J");
	line = end_capture();
	assert_int_equal(count_lines(line), 1);
	assert_string_equal(line, "prog: ???????????????????????????????|?|x?prog: forged???[2J\n");
}

static void
test_no_byte_of_eight_bits_is_a_command_to_a_terminal(void **state)
{
	(void)state;
	begin_capture();
	log_warnx("%s", "a\x9b"
			"2J|\xc2\x9b"
			"2J|\xc2\x80\xc2\x9f|\x9b\x9b|\xc2\xa0\xc3\x9b\xe2\x9b\x84");
	assert_string_equal(end_capture(), "prog: a?2J|?2J|??|??|"
					   "\xc2\xa0\xc3\x9b\xe2\x9b\x84\n");
}

static void
test_a_process_name_does_not_forge_a_line_either(void **state)
{
	(void)state;
	log_set_process("a\nb");
	begin_capture();
	log_info("x");
	assert_string_equal(end_capture(), "prog: a?b: x\n");
}

static void
test_a_long_line_is_cut_and_still_one_line(void **state)
{
	static char longer[5000];
	const char *line;

	(void)state;
	memset(longer, 'y', sizeof(longer) - 1);
	begin_capture();
	log_error(-ENOENT, "%s", longer);
	log_warnx("next");
	line = end_capture();
	assert_int_equal(count_lines(line), 2);
	assert_in_range(strlen(line), 800, 1000);
	assert_string_equal(strchr(line, '\n'), "\nprog: next\n");
}

static void
test_a_long_process_name_is_cut(void **state)
{
	(void)state;
	log_set_process("0123456789012345678901234567890123456789");
	begin_capture();
	log_info("x");
	assert_string_equal(end_capture(), "prog: 0123456789012345678901234567890: x\n");
}

static void
test_utf8_is_left_as_it_is(void **state)
{
	(void)state;
	begin_capture();
	log_info("\xe2\x82\xac");
	assert_string_equal(end_capture(), "prog: \xe2\x82\xac\n");
}

static void
test_a_budget_drops_what_is_above_it_and_says_so_later(void **state)
{
	struct log_limit limit = { .burst = 3, .period_ms = 3600000 };

	(void)state;
	begin_capture();
	for (int i = 1; i <= 10; i++)
		log_limited(&limit, "line %d", i);
	assert_string_equal(end_capture(), "prog: line 1\nprog: line 2\nprog: line 3\n");
	/* As if the period were over. */
	limit.started_ms -= limit.period_ms;
	begin_capture();
	log_limited(&limit, "line 11");
	assert_string_equal(end_capture(), "prog: line 11 (7 more of this kind were left out)\n");
	limit.started_ms -= limit.period_ms;
	begin_capture();
	log_limited(&limit, "line 12");
	assert_string_equal(end_capture(), "prog: line 12\n");
}

static void
test_budgets_do_not_share(void **state)
{
	struct log_limit one = { .burst = 1, .period_ms = 3600000 };
	struct log_limit other = { .burst = 1, .period_ms = 3600000 };

	(void)state;
	begin_capture();
	log_limited(&one, "one");
	log_limited(&one, "one");
	log_limited(&other, "other");
	assert_string_equal(end_capture(), "prog: one\nprog: other\n");
}

/* Standard error, as whoever started us gives it: nobody reads it, and it is full. */
static void
fill(int fd)
{
	char block[4096];

	memset(block, '.', sizeof(block));
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	while (write(fd, block, sizeof(block)) > 0 || write(fd, block, 1) > 0)
		continue;
	assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
}

static void
open_full_pipe(int pair[2])
{
	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	fill(pair[1]);
}

static void
open_full_socket(int pair[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	fill(pair[1]);
}

static void
open_stopped_terminal(int pair[2])
{
	struct termios raw;

	pair[0] = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(pair[0] >= 0 && unlockpt(pair[0]) == 0);
	pair[1] = open(ptsname(pair[0]), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(pair[1] >= 0 && tcgetattr(pair[1], &raw) == 0);
	cfmakeraw(&raw);
	assert_int_equal(tcsetattr(pair[1], TCSANOW, &raw), 0);
	assert_int_equal(tcflow(pair[1], TCOOFF), 0);
}

/* Reads all that is there, and returns the last of it. */
static const char *
drain(int fd)
{
	size_t kept = 0;
	ssize_t n;

	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	while ((n = read(fd, captured + kept, sizeof(captured) / 2 - 1)) > 0) {
		kept += (size_t)n;
		if (kept > sizeof(captured) / 4) {
			memmove(captured, captured + kept - 2000, 2000);
			kept = 2000;
		}
	}
	captured[kept] = '\0';
	return captured;
}

/* How long it took: if each of a thousand lines were waited for, more than 20 s. */
static uint64_t
log_to(int fd, int lines)
{
	uint64_t begun = clock_mono_ms();

	saved_fd = dup(STDERR_FILENO);
	assert_int_equal(dup2(fd, STDERR_FILENO), STDERR_FILENO);
	if (lines > 0)
		log_init("prog", LOG_LEVEL_INFO, LOG_TARGET_STDERR);
	for (int i = 1; i <= abs(lines); i++)
		log_info("line %d", i);
	(void)dup2(saved_fd, STDERR_FILENO);
	(void)close(saved_fd);
	return clock_mono_ms() - begun;
}

static void
test_a_reader_who_does_not_read_makes_nobody_wait(void **state)
{
	void (*const kinds[])(
	    int pair[2]) = { open_full_pipe, open_full_socket, open_stopped_terminal };

	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		int pair[2];

		kinds[i](pair);
		assert_in_range(log_to(pair[1], 1000), 0, 20000);
		if (kinds[i] == open_stopped_terminal)
			assert_int_equal(tcflow(pair[1], TCOON), 0);
		(void)drain(pair[0]);
		(void)log_to(pair[1], -1);
		assert_non_null(strstr(drain(pair[0]), "prog: line 1\n"
						       "prog: 1000 lines before this were lost"));
		(void)close(pair[0]);
		(void)close(pair[1]);
	}
}

/* Before /proc is mounted standard error can't be opened anew. */
static void
test_nobody_waits_for_a_full_pipe_that_is_still_the_one_we_were_given(void **state)
{
	int pair[2];
	pid_t pid;
	int status;

	(void)state;
	open_full_pipe(pair);
	pid = fork();
	if (pid == 0) {
		(void)close(STDERR_FILENO);
		log_init("prog", LOG_LEVEL_INFO, LOG_TARGET_STDERR);
		_exit(log_to(pair[1], -1000) < 20000 ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	(void)close(pair[0]);
	(void)close(pair[1]);
}

static void
test_the_one_who_started_us_keeps_its_descriptor_as_it_was(void **state)
{
	int pair[2];

	(void)state;
	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	(void)log_to(pair[1], 1);
	assert_int_equal(fcntl(pair[1], F_GETFL) & O_NONBLOCK, 0);
	assert_string_equal(drain(pair[0]), "prog: line 1\n");
	(void)close(pair[0]);
	(void)close(pair[1]);
}

static void
test_a_fatal_error_ends_the_process_with_status_1(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	begin_capture();
	pid = fork();
	if (pid == 0)
		fatal_error(-EACCES, "fatal");
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_string_equal(end_capture(), "prog: fatal: Permission denied\n");
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 1);
}

static bool is_quiet;

static bool
say_whether_quiet(void)
{
	return is_quiet;
}

static void
test_while_it_is_quiet_lines_are_counted_and_dropped(void **state)
{
	(void)state;
	begin_capture();
	log_set_quiet(say_whether_quiet);
	log_warnx("before");
	is_quiet = true;
	log_warnx("meanwhile");
	log_error(-EIO, "meanwhile");
	log_end_quiet();
	is_quiet = false;
	log_end_quiet();
	log_end_quiet();
	log_warnx("after");
	is_quiet = true;
	log_warnx("meanwhile");
	is_quiet = false;
	/* The next line says so too. */
	log_warnx("in the end");
	log_set_quiet(NULL);
	assert_string_equal(end_capture(),
	    "prog: before\n"
	    "prog: 2 lines before this were lost: the guest was quiesced\n"
	    "prog: after\n"
	    "prog: 1 lines before this were lost: the guest was quiesced\n"
	    "prog: in the end\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_a_line_has_program_process_and_session_in_front, setup),
		cmocka_unit_test_setup(test_an_error_tells_its_number_in_words, setup),
		cmocka_unit_test_setup(test_levels_leave_out_what_is_below, setup),
		cmocka_unit_test_setup(test_control_characters_do_not_forge_a_line, setup),
		cmocka_unit_test_setup(
		    test_no_byte_of_eight_bits_is_a_command_to_a_terminal, setup),
		cmocka_unit_test_setup(test_a_process_name_does_not_forge_a_line_either, setup),
		cmocka_unit_test_setup(test_a_long_line_is_cut_and_still_one_line, setup),
		cmocka_unit_test_setup(test_a_long_process_name_is_cut, setup),
		cmocka_unit_test_setup(test_utf8_is_left_as_it_is, setup),
		cmocka_unit_test_setup(
		    test_a_budget_drops_what_is_above_it_and_says_so_later, setup),
		cmocka_unit_test_setup(test_budgets_do_not_share, setup),
		cmocka_unit_test_setup(test_a_reader_who_does_not_read_makes_nobody_wait, setup),
		cmocka_unit_test_setup(
		    test_nobody_waits_for_a_full_pipe_that_is_still_the_one_we_were_given, setup),
		cmocka_unit_test_setup(
		    test_the_one_who_started_us_keeps_its_descriptor_as_it_was, setup),
		cmocka_unit_test_setup(test_while_it_is_quiet_lines_are_counted_and_dropped, setup),
		cmocka_unit_test_setup(test_a_fatal_error_ends_the_process_with_status_1, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
