/*
 * What a worker that has died leaves behind is killed by what its slot says. The
 * cgroup is a plain directory here, in which a kill is a file that is written.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "platform/clock.h"
#include "platform/fd.h"
#include "platform/watchdog.h"
#include "scratch.h"
#include "supervisor/pool.h"

#define CELL 7
#define WORKER_PID 0x3ffffff0 /* nobody's: above what the kernel gives out */

static struct pool pool;
static struct worker_settings settings;

static int
make_pool(void **state)
{
	struct scoreboard *board;

	if (scratch_make(state) < 0 || mkdir(scratch_path("7"), 0755) < 0 ||
	    scoreboard_new(2, 0, &board) < 0)
		return -1;
	scratch_write("7/cgroup.kill", "", 0600);
	scratch_write("7/cgroup.events", "populated 0\n", 0600);
	settings.session.session_cgroups_fd = open(scratch_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (settings.session.session_cgroups_fd < 0 ||
	    pool_init(&pool, &settings, board, NULL, 0) < 0)
		return -1;
	pool.workers[0].pid = WORKER_PID;
	atomic_store(&board->slots[0].cgroup, CELL);
	return 0;
}

static int
drop_pool(void **state)
{
	fd_close(&settings.session.session_cgroups_fd);
	free(pool.workers);
	free(pool.watchdogs.entries);
	free(pool.watchdogs.lost);
	fd_close(&pool.watchdogs.wait_fd);
	return scratch_remove(state);
}

static void
test_a_worker_that_is_stuck_gives_its_place_back(void **state)
{
	uint64_t now = clock_mono_ms();
	siginfo_t info = { 0 };
	pid_t pid = fork();
	int fd = -1;

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0)
		for (;;)
			(void)pause();
	/* Nobody reaps it: that does as well as that it can't die. */
	pool.workers[0].pid = pid;
	atomic_store(&pool.board->slots[0].phase, SLOT_OPEN);
	assert_int_equal(watchdogs_open(&pool.watchdogs, 0, &fd), 0);
	watchdogs_start(&pool.watchdogs, 0, pid);
	watchdog_init(fd);
	watchdog_set(1);
	(void)usleep(50000);
	assert_int_equal(pool_watch(&pool, now), now + WATCHDOGS_DEATH_MS);
	assert_int_equal(pool.workers[0].pid, pid);
	now += WATCHDOGS_DEATH_MS;
	assert_int_equal(pool_watch(&pool, now), now);
	assert_int_equal(pool.workers[0].pid, 0);
	assert_int_equal(atomic_load(&pool.board->slots[0].phase), SLOT_IDLE);
	assert_int_equal(atomic_load(&pool.board->deaths.total), 0);
	assert_int_equal(atomic_load(&pool.board->counts.stalled), 1);
	assert_true(pool_owns(&pool, pid));
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED), 0);
	pool_bury(&pool, &info);
	assert_false(pool_owns(&pool, pid));
	assert_int_equal(atomic_load(&pool.board->deaths.total), 0);
	assert_int_equal(atomic_load(&pool.board->counts.stalled), 1);
	watchdog_init(-1);
	fd_close(&fd);
}

static const char *
bury(void)
{
	static char killed[8];
	siginfo_t info = { .si_code = CLD_KILLED };

	info.si_pid = WORKER_PID;
	info.si_status = SIGKILL;
	pool_bury(&pool, &info);
	assert_int_equal(pool.workers[0].pid, 0);
	assert_true(
	    fd_read_file(AT_FDCWD, scratch_path("7/cgroup.kill"), killed, sizeof(killed)) >= 0);
	return killed;
}

static void
test_the_cgroup_of_a_session_that_ran_is_killed(void **state)
{
	(void)state;
	atomic_store(&pool.board->slots[0].child_pid, WORKER_PID + 1);
	assert_string_equal(bury(), "1");
}

static void
test_the_cgroup_of_a_child_that_was_not_yet_entered_is_killed(void **state)
{
	(void)state;
	/* The kernel writes the number when the child first runs, not when it is made. */
	atomic_store(&pool.board->slots[0].spawning, 1);
	assert_string_equal(bury(), "1");
}

static void
test_the_cgroup_of_an_idle_worker_is_left_alone(void **state)
{
	(void)state;
	assert_string_equal(bury(), "");
}

static void
test_a_cgroup_that_another_has_is_left_alone(void **state)
{
	(void)state;
	atomic_store(&pool.board->slots[0].spawning, 1);
	atomic_store(&pool.board->slots[1].cgroup, CELL);
	assert_string_equal(bury(), "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_the_cgroup_of_a_session_that_ran_is_killed, make_pool, drop_pool),
		cmocka_unit_test_setup_teardown(
		    test_the_cgroup_of_a_child_that_was_not_yet_entered_is_killed, make_pool,
		    drop_pool),
		cmocka_unit_test_setup_teardown(
		    test_the_cgroup_of_an_idle_worker_is_left_alone, make_pool, drop_pool),
		cmocka_unit_test_setup_teardown(
		    test_a_cgroup_that_another_has_is_left_alone, make_pool, drop_pool),
		cmocka_unit_test_setup_teardown(
		    test_a_worker_that_is_stuck_gives_its_place_back, make_pool, drop_pool),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
