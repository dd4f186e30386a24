/*
 * Temporary names: how they are recorded, and which of them are unlinked.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "platform/fd.h"
#include "platform/proc.h"
#include "scratch.h"
#include "session/file/temporary.h"
#include "session/session.h"

#define SLOT 3

static struct session session;
static char name[FILE_TEMPORARY_NAME_MAX];

static int
setup(void **state)
{
	struct scoreboard *board;

	if (scratch_make(state) < 0 || proc_init() < 0 || scoreboard_new(8, 2, &board) < 0)
		return -1;
	session = (struct session){ .board = board, .slot_index = SLOT };
	return 0;
}

/* Announces a name in the scratch directory, of FILE or of a file to come. */
static void
announce(const struct stat *file)
{
	int CLEANUP_FD dir_fd = open(scratch_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	assert_true(dir_fd >= 0);
	file_temporary_announce(&session, dir_fd, file, name);
}

static struct stat
made(const char *of)
{
	struct stat status;

	scratch_write(of, "left behind", 0600);
	assert_int_equal(lstat(scratch_path(of), &status), 0);
	return status;
}

static bool
is_there(const char *of)
{
	struct stat status;

	return lstat(scratch_path(of), &status) == 0;
}

static void
test_a_name_has_its_slot_and_is_new_each_time(void **state)
{
	char first[FILE_TEMPORARY_NAME_MAX];

	(void)state;
	announce(NULL);
	memcpy(first, name, sizeof(first));
	assert_int_equal(strncmp(first, ".vmm-guest-3-", 13), 0);
	announce(NULL);
	assert_string_not_equal(first, name);
	assert_true(file_temporary_is_name(name));
}

static void
test_only_such_names_are_names(void **state)
{
	static const char *const others[] = { "", ".vmm-guest-", ".vmm-guest-1", ".vmm-guest-1-",
		".vmm-guest-1-2x", ".vmm-guest-01-2", ".vmm-guest--1-2", "vmm-guest-1-2",
		".vmm-guest-1-2-3", ".vmm-guest- 1-2" };

	(void)state;
	assert_true(file_temporary_is_name(".vmm-guest-0-0"));
	assert_true(file_temporary_is_name(".vmm-guest-63-18446744073709551615"));
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_false(file_temporary_is_name(others[i]));
}

static void
test_what_was_announced_and_left_is_unlinked_once(void **state)
{
	(void)state;
	announce(NULL);
	(void)made(name);
	file_temporary_collect(session.board, SLOT);
	assert_false(is_there(name));
	(void)made(name);
	file_temporary_collect(session.board, SLOT);
	assert_true(is_there(name));
}

static void
test_what_stands_in_another_directory_at_the_same_path_stays(void **state)
{
	char there[2 * PATH_MAX];
	char aside[2 * PATH_MAX];

	(void)state;
	announce(NULL);
	(void)made(name);
	(void)snprintf(there, sizeof(there), "%s", scratch_dir);
	(void)snprintf(aside, sizeof(aside), "%s-aside", scratch_dir);
	assert_int_equal(rename(there, aside), 0);
	assert_int_equal(mkdir(there, 0755), 0);
	(void)made(name);
	file_temporary_collect(session.board, SLOT);
	assert_true(is_there(name));
	assert_int_equal(unlink(scratch_path(name)), 0);
	assert_int_equal(rmdir(there), 0);
	assert_int_equal(rename(aside, there), 0);
	assert_true(is_there(name));
}

static void
test_what_was_forgotten_stays(void **state)
{
	(void)state;
	announce(NULL);
	(void)made(name);
	file_temporary_forget(&session);
	file_temporary_collect(session.board, SLOT);
	assert_true(is_there(name));
}

static void
test_a_link_that_was_left_is_unlinked_and_not_followed(void **state)
{
	(void)state;
	(void)made("kept");
	announce(NULL);
	assert_int_equal(symlink("kept", scratch_path(name)), 0);
	file_temporary_collect(session.board, SLOT);
	assert_false(is_there(name));
	assert_true(is_there("kept"));
}

static void
test_another_slot_s_litter_stays(void **state)
{
	(void)state;
	announce(NULL);
	(void)made(name);
	file_temporary_collect(session.board, SLOT - 1);
	assert_true(is_there(name));
}

static void
test_another_file_of_that_name_stays(void **state)
{
	struct stat mine = made("mine");

	(void)state;
	announce(&mine);
	(void)made(name);
	file_temporary_collect(session.board, SLOT);
	assert_true(is_there(name));
}

static void
test_the_file_that_was_identified_later_is_unlinked(void **state)
{
	struct stat status;

	(void)state;
	announce(NULL);
	status = made(name);
	file_temporary_identify(&session, &status);
	file_temporary_collect(session.board, SLOT);
	assert_false(is_there(name));
}

static void
test_what_is_neither_file_nor_link_stays(void **state)
{
	(void)state;
	announce(NULL);
	assert_int_equal(mkfifo(scratch_path(name), 0600), 0);
	file_temporary_collect(session.board, SLOT);
	assert_true(is_there(name));
	announce(NULL);
	assert_int_equal(mkdir(scratch_path(name), 0700), 0);
	file_temporary_collect(session.board, SLOT);
	assert_true(is_there(name));
}

static void
test_what_is_neither_and_is_known_by_its_number_goes(void **state)
{
	char fifo[2 * PATH_MAX];
	struct stat status;

	(void)state;
	(void)snprintf(fifo, sizeof(fifo), "%s", scratch_path("fifo"));
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_int_equal(lstat(fifo, &status), 0);
	announce(&status);
	assert_int_equal(rename(fifo, scratch_path(name)), 0);
	file_temporary_collect(session.board, SLOT);
	assert_false(is_there(name));
}

static void
test_a_record_that_nobody_could_have_written_does_no_harm(void **state)
{
	struct scoreboard_temporary *record = scoreboard_temporary(session.board, SLOT);

	(void)state;
	memset(record, 0xff, sizeof(*record));
	file_temporary_collect(session.board, SLOT);
	assert_int_equal(record->standing, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_name_has_its_slot_and_is_new_each_time),
		cmocka_unit_test(test_only_such_names_are_names),
		cmocka_unit_test(test_what_was_announced_and_left_is_unlinked_once),
		cmocka_unit_test(test_what_stands_in_another_directory_at_the_same_path_stays),
		cmocka_unit_test(test_what_was_forgotten_stays),
		cmocka_unit_test(test_a_link_that_was_left_is_unlinked_and_not_followed),
		cmocka_unit_test(test_another_slot_s_litter_stays),
		cmocka_unit_test(test_another_file_of_that_name_stays),
		cmocka_unit_test(test_the_file_that_was_identified_later_is_unlinked),
		cmocka_unit_test(test_what_is_neither_file_nor_link_stays),
		cmocka_unit_test(test_what_is_neither_and_is_known_by_its_number_goes),
		cmocka_unit_test(test_a_record_that_nobody_could_have_written_does_no_harm),
	};

	return cmocka_run_group_tests(tests, setup, scratch_remove);
}
