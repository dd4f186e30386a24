/*
 * For whom the switch waits before it freezes: by a scoreboard whose workers this test plays.
 * The cgroup is a directory of files; no file system is touched.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "platform/bell.h"
#include "platform/clock.h"
#include "platform/fd.h"
#include "scratch.h"
#include "supervisor/switch_freezer.h"

#define NUMBER 7
#define LONG_MS 60000

static struct scoreboard *board;
static struct switch_freezer real;
static char words[QUIESCE_ERROR_MAX];

static int
begin(void **state)
{
	if (scratch_make(state) < 0 || scoreboard_new(4, 1, &board) < 0)
		return -1;
	switch_freezer_init(&real, board, NUMBER, -1);
	words[0] = '\0';
	return 0;
}

/* The slot INDEX has a session of KIND. */
static struct slot *
serve(uint32_t index, const char *kind, bool has_to_rest)
{
	struct slot *slot = &board->slots[index];

	(void)strlcpy(slot->kind, kind, sizeof(slot->kind));
	atomic_store(&slot->session, 17);
	atomic_store(&slot->has_to_rest, has_to_rest);
	atomic_store(&slot->phase, SLOT_OPEN);
	return slot;
}

/* As the word of the quiesce says it. */
static void
set_holder(uint64_t holder)
{
	atomic_store(&board->quiesce.word, (uint64_t)NUMBER << 24 | holder << 8 | QUIESCE_RESTING);
}

/* As it is at the deadline. */
static int
await_rest(void)
{
	return real.freezer.await_rest(&real, -1, 0, words);
}

static void
test_idle_workers_and_control_requests_are_not_waited_for(void **state)
{
	(void)state;
	(void)serve(1, "status", false);
	(void)serve(3, "quiesce", false);
	assert_int_equal(await_rest(), 0);
}

static void
test_a_session_is_waited_for_until_it_rests_and_is_named(void **state)
{
	struct slot *slot = serve(2, "read", true);

	(void)state;
	assert_int_equal(await_rest(), -ETIMEDOUT);
	assert_string_equal(words, "session 17 (read) does not rest");
	/* At an earlier number does not count. */
	atomic_store(&slot->rests, NUMBER - 1);
	assert_int_equal(await_rest(), -ETIMEDOUT);
	atomic_store(&slot->rests, NUMBER);
	assert_int_equal(await_rest(), 0);
}

static void
test_no_program_is_being_started(void **state)
{
	struct slot *slot = serve(0, "exec", true);

	(void)state;
	atomic_store(&slot->rests, NUMBER);
	atomic_store(&slot->spawning, SLOT_SPAWNING);
	assert_int_equal(await_rest(), -ETIMEDOUT);
	atomic_store(&slot->spawning, SLOT_SPAWN_NONE);
	assert_int_equal(await_rest(), 0);
}

static void
test_a_worker_that_rings_ends_the_wait(void **state)
{
	int CLEANUP_FD bell_fd = bell_open();

	(void)state;
	(void)serve(2, "read", true);
	bell_ring(bell_fd);
	assert_int_equal(
	    real.freezer.await_rest(&real, bell_fd, clock_mono_ms() + LONG_MS, words), -EINTR);
	/* But not for ever. */
	assert_int_equal(real.freezer.await_rest(&real, bell_fd, 0, words), -ETIMEDOUT);
}

static void
test_a_slot_that_is_cleared_rests_no_more(void **state)
{
	struct slot *slot = serve(2, "read", true);

	(void)state;
	atomic_store(&slot->rests, NUMBER);
	scoreboard_clear_slot(slot);
	assert_int_equal(atomic_load(&slot->rests), 0);
}

static void
test_without_a_cgroup_or_before_it_could_freeze_it_is_not_supported(void **state)
{
	int CLEANUP_FD fd = open(scratch_path("."), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	assert_int_equal(real.freezer.freeze_sessions(&real, true), -ENOTSUP);
	switch_freezer_init(&real, board, NUMBER, fd);
	assert_int_equal(real.freezer.freeze_sessions(&real, true), -ENOTSUP);
	scratch_write("cgroup.freeze", "0", 0600);
	scratch_write("cgroup.events", "populated 0\nfrozen 1\n", 0600);
	assert_int_equal(real.freezer.freeze_sessions(&real, true), 0);
	assert_int_equal(real.freezer.await_sessions(&real, -1, 0), 0);
}

static void
test_a_holder_that_is_not_a_slot_is_nobody(void **state)
{
	(void)state;
	set_holder(0);
	real.freezer.wake_holder(&real);
	set_holder(UINT16_MAX);
	real.freezer.wake_holder(&real);
	set_holder(5);
	real.freezer.wake_holder(&real);
}

#define FREEZER_TEST(name) cmocka_unit_test_setup_teardown(name, begin, scratch_remove)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		FREEZER_TEST(test_idle_workers_and_control_requests_are_not_waited_for),
		FREEZER_TEST(test_a_session_is_waited_for_until_it_rests_and_is_named),
		FREEZER_TEST(test_no_program_is_being_started),
		FREEZER_TEST(test_a_worker_that_rings_ends_the_wait),
		FREEZER_TEST(test_a_slot_that_is_cleared_rests_no_more),
		FREEZER_TEST(test_without_a_cgroup_or_before_it_could_freeze_it_is_not_supported),
		FREEZER_TEST(test_a_holder_that_is_not_a_slot_is_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
