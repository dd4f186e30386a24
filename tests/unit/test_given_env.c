/*
 * The variables that RESTORED gave the guest, of which there is always a whole set.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "shared/given_env.h"

#define WORKERS 4
#define ROUNDS 20000

static struct scoreboard *board;

static int
setup(void **state)
{
	(void)state;
	return scoreboard_new(WORKERS, 1, &board);
}

static void
assert_given(const char *text, size_t len)
{
	char *found;
	size_t found_len;

	assert_int_equal(given_env_read(board, &found, &found_len), 0);
	if (len == 0) {
		assert_null(found);
		return;
	}
	assert_non_null(found);
	assert_int_equal(found_len, len);
	assert_memory_equal(found, text, len);
	free(found);
}

#define ASSERT_GIVEN(text) assert_given(text, sizeof(text) - 1)

static void
test_at_first_there_are_none(void **state)
{
	(void)state;
	ASSERT_GIVEN("");
}

static void
test_a_set_replaces_the_one_before(void **state)
{
	const struct start_env first[] = { { "A", "1" }, { "B", "" } };
	const struct start_env second[] = { { "C", "x=y z" } };

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(given_env_set(board, 0, first, 2), 0);
		ASSERT_GIVEN("A=1\0B=\0");
		assert_int_equal(given_env_set(board, 1, second, 1), 0);
		ASSERT_GIVEN("C=x=y z\0");
	}
	assert_int_equal(given_env_set(board, 0, NULL, 0), 0);
	ASSERT_GIVEN("");
}

static void
test_it_takes_64_kib_and_not_a_byte_more(void **state)
{
	static char value[VMM_GUEST_ENV_MAX];
	struct start_env env = { "A", value };
	char *found;
	size_t len;

	(void)state;
	memset(value, 'x', sizeof(value) - 1);
	assert_int_equal(given_env_set(board, 0, &env, 1), -E2BIG);
	ASSERT_GIVEN("");
	value[sizeof(value) - 3] = '\0';
	assert_int_equal(given_env_set(board, 0, &env, 1), 0);
	assert_int_equal(given_env_read(board, &found, &len), 0);
	assert_int_equal(len, VMM_GUEST_ENV_MAX);
	assert_int_equal(strlen(found), VMM_GUEST_ENV_MAX - 1);
	free(found);
}

static void
test_what_does_not_fit_leaves_the_old(void **state)
{
	static char value[VMM_GUEST_ENV_MAX];
	const struct start_env old = { "OLD", "1" };
	struct start_env env[] = { { "NEW", "2" }, { "A", value } };

	(void)state;
	memset(value, 'x', sizeof(value) - 3);
	assert_int_equal(given_env_set(board, 0, &old, 1), 0);
	assert_int_equal(given_env_set(board, 0, env, 2), -E2BIG);
	ASSERT_GIVEN("OLD=1\0");
}

static void
test_a_writer_that_dies_in_the_middle_leaves_the_old_and_the_lock_to_the_next(void **state)
{
	const struct start_env old = { "OLD", "1" };
	const struct start_env torn[] = { { "NEW", "2" }, { "BAD", NULL } };
	pid_t pid;
	int status;

	(void)state;
	assert_int_equal(given_env_set(board, 0, &old, 1), 0);
	pid = fork();
	if (pid == 0) {
		/* At the second variable, when the first has been written. */
		(void)signal(SIGSEGV, SIG_DFL);
		(void)given_env_set(board, 2, torn, 2);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	/* By a signal, or as a sanitizer ends it. */
	assert_int_not_equal(status, 0);
	ASSERT_GIVEN("OLD=1\0");
	assert_int_equal(given_env_set(board, 1, &old, 1), -EBUSY);
	given_env_free_dead(board, 2);
	assert_int_equal(given_env_set(board, 1, torn, 1), 0);
	ASSERT_GIVEN("NEW=2\0");
}

static void
test_a_word_that_says_what_can_not_be_is_none(void **state)
{
	(void)state;
	atomic_store(&board->given_env.word, UINT64_MAX);
	ASSERT_GIVEN("");
	atomic_store(&board->given_env.word, (1ull << 32) | (VMM_GUEST_ENV_MAX + 1));
	ASSERT_GIVEN("");
}

/* Sets of one letter each, and the same length. */
static void
write_on(void)
{
	static char value[1024];
	const struct start_env env[] = { { "A", value }, { "B", value } };

	for (unsigned i = 0;; i++) {
		memset(value, 'a' + (int)(i % 26), sizeof(value) - 1);
		(void)given_env_set(board, 3, env, 2);
	}
}

static void
test_a_reader_gets_one_set_whole_while_others_are_written(void **state)
{
	const struct start_env env = { "A", "" };
	unsigned seen = 0;
	pid_t pid;

	(void)state;
	assert_int_equal(given_env_set(board, 0, &env, 1), 0);
	pid = fork();
	if (pid == 0)
		write_on();
	while (seen < ROUNDS) {
		char *text;
		size_t len;
		int r = given_env_read(board, &text, &len);

		assert_true(r == 0 || r == -EAGAIN);
		if (r < 0 || text == NULL)
			continue;
		seen += len > 3;
		for (size_t i = 2; len > 3 && i < len / 2 - 1; i++)
			assert_true(text[i] == text[2] && text[i + len / 2] == text[2]);
		free(text);
	}
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
}

#define EACH(function) cmocka_unit_test_setup(function, setup)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(test_at_first_there_are_none),
		EACH(test_a_set_replaces_the_one_before),
		EACH(test_it_takes_64_kib_and_not_a_byte_more),
		EACH(test_what_does_not_fit_leaves_the_old),
		EACH(test_a_writer_that_dies_in_the_middle_leaves_the_old_and_the_lock_to_the_next),
		EACH(test_a_word_that_says_what_can_not_be_is_none),
		EACH(test_a_reader_gets_one_set_whole_while_others_are_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
