/*
 * What a session's program finds in its environment.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "session/run/environment.h"
#include "shared/given_env.h"

static struct run_as user = { .name = "worker", .home = "/home/worker", .shell = "/bin/zsh" };
static struct environment made;

static int
teardown(void **state)
{
	(void)state;
	environment_done(&made);
	return 0;
}

static void
make(const struct start_request *request, const struct run_as *as, const char *home,
    const char *term)
{
	assert_int_equal(environment_make(request, as, home, term, &made), 0);
}

/* The variables are these, in any order, and no others. */
static void
assert_variables(const char *const *expected, size_t count)
{
	size_t there = 0;

	for (char **variable = made.variables; *variable != NULL; variable++, there++) {
		size_t i;

		for (i = 0; i < count && strcmp(expected[i], *variable) != 0; i++)
			continue;
		if (i == count)
			fail_msg("not expected: %s", *variable);
	}
	assert_int_equal(there, count);
}

#define ASSERT_VARIABLES(...)                                                                      \
	assert_variables((const char *const[]){ __VA_ARGS__ },                                     \
	    sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *))

static void
test_the_base_is_four_variables(void **state)
{
	const struct start_request request = { 0 };

	(void)state;
	make(&request, NULL, "/root", "vt102");
	ASSERT_VARIABLES("PATH=" ENVIRONMENT_PATH, "HOME=/root", "TERM=vt102", "LANG=C.UTF-8");
	assert_string_equal(made.path, ENVIRONMENT_PATH);
}

static void
test_there_is_no_term_where_the_agent_has_none(void **state)
{
	const struct start_request request = { 0 };

	(void)state;
	make(&request, NULL, "/root", NULL);
	ASSERT_VARIABLES("PATH=" ENVIRONMENT_PATH, "HOME=/root", "LANG=C.UTF-8");
}

static void
test_a_tty_session_has_a_terminal_that_can_do_colours(void **state)
{
	const struct start_request request = { .tty = true };

	(void)state;
	make(&request, NULL, "/", "vt102");
	ASSERT_VARIABLES("PATH=" ENVIRONMENT_PATH, "HOME=/", "TERM=xterm-256color", "LANG=C.UTF-8");
}

static void
test_a_user_brings_home_name_and_shell(void **state)
{
	const struct start_request request = { 0 };

	(void)state;
	make(&request, &user, "/root", NULL);
	ASSERT_VARIABLES("PATH=" ENVIRONMENT_PATH, "HOME=/home/worker", "LANG=C.UTF-8",
	    "USER=worker", "LOGNAME=worker", "SHELL=/bin/zsh");
}

static void
test_what_the_host_asks_for_wins(void **state)
{
	struct start_env env[] = { { "PATH", "/only" }, { "HOME", "" }, { "TERM", "dumb" },
		{ "LANG", "x" }, { "USER", "u" }, { "LOGNAME", "l" }, { "SHELL", "s" },
		{ "OTHER", "a=b c" } };
	const struct start_request request = { .tty = true, .env = env, .env_count = 8 };

	(void)state;
	make(&request, &user, "/root", NULL);
	ASSERT_VARIABLES("PATH=/only", "HOME=", "TERM=dumb", "LANG=x", "USER=u", "LOGNAME=l",
	    "SHELL=s", "OTHER=a=b c");
	/* It is also where the program is looked up. */
	assert_string_equal(made.path, "/only");
}

static void
test_names_that_only_begin_alike_are_others(void **state)
{
	struct start_env env[] = { { "PATHS", "x" }, { "HOM", "y" }, { "home", "z" } };
	const struct start_request request = { .env = env, .env_count = 3 };

	(void)state;
	make(&request, NULL, "/root", NULL);
	ASSERT_VARIABLES(
	    "PATH=" ENVIRONMENT_PATH, "HOME=/root", "LANG=C.UTF-8", "PATHS=x", "HOM=y", "home=z");
	assert_string_equal(made.path, ENVIRONMENT_PATH);
}

static void
test_an_empty_path_is_kept(void **state)
{
	struct start_env env[] = { { "PATH", "" } };
	const struct start_request request = { .env = env, .env_count = 1 };

	(void)state;
	make(&request, NULL, "/root", NULL);
	assert_string_equal(made.path, "");
}

static void
test_what_restored_gave_is_under_the_hosts_own_and_over_ours(void **state)
{
	struct start_env given[] = { { "HOME", "/given" }, { "A", "given" }, { "B", "b=c" },
		{ "PATH", "/given/bin" } };
	struct start_env env[] = { { "A", "own" }, { "C", "" } };
	const struct start_request request = { .env = env, .env_count = 2 };
	struct scoreboard *board;

	(void)state;
	assert_int_equal(scoreboard_new(1, 0, &board), 0);
	assert_int_equal(environment_make_given(board, &request, NULL, "/root", NULL, &made), 0);
	ASSERT_VARIABLES("PATH=" ENVIRONMENT_PATH, "HOME=/root", "LANG=C.UTF-8", "A=own", "C=");
	environment_done(&made);
	assert_int_equal(given_env_set(board, 0, given, 4), 0);
	assert_int_equal(environment_make_given(board, &request, &user, "/root", NULL, &made), 0);
	ASSERT_VARIABLES("PATH=/given/bin", "HOME=/given", "LANG=C.UTF-8", "USER=worker",
	    "LOGNAME=worker", "SHELL=/bin/zsh", "A=own", "B=b=c", "C=");
	assert_string_equal(made.path, "/given/bin");
}

static void
test_what_is_scribbled_over_what_was_given_is_left_out(void **state)
{
	static const char text[] = "A=1\0no variable\0=\0=x\0\0B=2\0C=3";
	const struct start_request request = { .env_count = 0 };
	struct scoreboard *board;

	(void)state;
	assert_int_equal(scoreboard_new(1, 0, &board), 0);
	memcpy(board->given_env.texts[0], text, sizeof(text));
	atomic_store(&board->given_env.word, sizeof(text));
	assert_int_equal(environment_make_given(board, &request, NULL, "/", NULL, &made), 0);
	ASSERT_VARIABLES("PATH=" ENVIRONMENT_PATH, "HOME=/", "LANG=C.UTF-8", "A=1", "B=2", "C=3");
}

#define EACH(function) cmocka_unit_test_teardown(function, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(test_the_base_is_four_variables),
		EACH(test_there_is_no_term_where_the_agent_has_none),
		EACH(test_a_tty_session_has_a_terminal_that_can_do_colours),
		EACH(test_a_user_brings_home_name_and_shell),
		EACH(test_what_the_host_asks_for_wins),
		EACH(test_names_that_only_begin_alike_are_others),
		EACH(test_an_empty_path_is_kept),
		EACH(test_what_restored_gave_is_under_the_hosts_own_and_over_ours),
		EACH(test_what_is_scribbled_over_what_was_given_is_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
