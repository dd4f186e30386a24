/*
 * The switch, with a freezer that freezes nothing: it keeps in shared memory what would be
 * frozen. Whenever the switch is killed, its successor leaves nothing frozen.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "platform/bell.h"
#include "platform/clock.h"
#include "platform/fd.h"
#include "platform/fd_keep.h"
#include "platform/fdpass.h"
#include "platform/hold_timer.h"
#include "shared/quiesce.h"
#include "supervisor/switch.h"

#define FILES 3
#define NUMBER 7
#define WITHIN_MS 60000
#define EVENTS_MAX 512
#define KILL_ROUNDS 1000
#define MOMENT_HELD 16 /* all is frozen, and the holder is about to be woken */

/* In memory that the switch shares with the test. */
struct fake {
	char events[EVENTS_MAX]; /* what was done: a letter, and a digit for a file system */
	bool is_frozen[FILES];
	bool is_foreign[FILES]; /* another has frozen it */
	bool has_sessions;
	int moments; /* in which it could have been killed */
	int die_at;
	int freeze_error[FILES];
	int thaw_errors[FILES]; /* how often it fails */
	bool is_slow[FILES];	/* its freeze takes longer than there is time for */
	uint64_t deadline_ms;
	int rest_error;
	rlim_t files_after_pause; /* how many may be open then; 0: as many as before */
	bool rings_late;	  /* the wait for rest ends by a ring when there is no more time */
	int sessions_error;
	enum quiesce_ask_kind asks[4]; /* that are made when it is held, and after each answer */
	int asked;
};

static struct fake *fake;
static struct quiesce *quiesce;
static struct quiesce_order order;
static struct switch_options options;

static void
fake_moment(void)
{
	if (++fake->moments == fake->die_at)
		(void)kill(getpid(), SIGKILL);
}

#define FAKE_ALL (-1)

/* What was done: a letter, and the file system that it was done to. */
static void
fake_note(char letter, int index)
{
	size_t len = strlen(fake->events);

	if (len + 3 > sizeof(fake->events))
		return;
	fake->events[len] = letter;
	if (index != FAKE_ALL)
		fake->events[len + 1] = (char)('0' + index);
}

static int
fake_index(int fd)
{
	struct stat status;

	/* EBADF or a file of another kind is a number beyond all. */
	return fstat(fd, &status) == 0 && status.st_size <= FILES ? (int)status.st_size - 1 : 9;
}

static int
fake_await_rest(void *context, int wake_fd, uint64_t deadline_ms, char words[QUIESCE_ERROR_MAX])
{
	(void)context;
	(void)wake_fd;
	fake->deadline_ms = deadline_ms;
	fake_moment();
	fake_note('r', FAKE_ALL);
	if (fake->rest_error == -EINTR) {
		while (fake->rings_late && clock_mono_ms() < deadline_ms)
			(void)usleep(1000);
		fake->rest_error = fake->rings_late ? -ETIMEDOUT : 0;
		return -EINTR;
	}
	if (fake->rest_error < 0)
		(void)strlcpy(words, "session 17 (read) does not rest", QUIESCE_ERROR_MAX);
	return fake->rest_error;
}

static int
fake_freeze_sessions(void *context, bool is_frozen)
{
	(void)context;
	fake_moment();
	if (fake->sessions_error == -ENOTSUP)
		return -ENOTSUP;
	fake_note(is_frozen ? 'S' : 's', FAKE_ALL);
	fake->has_sessions = is_frozen;
	fake_moment();
	return 0;
}

static int
fake_await_sessions(void *context, int wake_fd, uint64_t deadline_ms)
{
	(void)context;
	(void)wake_fd;
	(void)deadline_ms;
	fake_moment();
	return fake->sessions_error;
}

static int
fake_open_files(void *context, const struct quiesce_order *asked, struct quiesce_report *report,
    struct switch_files *ret, char words[QUIESCE_ERROR_MAX])
{
	(void)context;
	(void)words;
	fake_moment();
	quiesce_report_place(report, "/net", "nfs4", "network");
	for (int i = 0; i < FILES; i++) {
		struct switch_file *file = &ret->list[i];

		file->fd = memfd_create("file system", MFD_CLOEXEC);
		if (file->fd < 0 || ftruncate(file->fd, i + 1) < 0)
			return -errno;
		file->is_wanted = asked->is_all || asked->paths_count > 0;
		file->is_required = asked->paths_count > 0;
		(void)snprintf(file->path, sizeof(file->path), "/%d", i);
		(void)strlcpy(file->type, "ext4", sizeof(file->type));
		ret->count++;
	}
	fake_moment();
	return 0;
}

static int
fake_sync_files(void *context, int fd)
{
	(void)context;
	fake_moment();
	fake_note('y', fake_index(fd));
	return 0;
}

static int
fake_freeze_files(void *context, int fd)
{
	int i = fake_index(fd);

	(void)context;
	fake_moment();
	fake_note('F', i);
	if (i >= FILES)
		return -EBADF;
	if (fake->is_frozen[i] || fake->is_foreign[i])
		return -EBUSY;
	if (fake->freeze_error[i] < 0)
		return fake->freeze_error[i];
	while (fake->is_slow[i] && clock_mono_ms() < fake->deadline_ms)
		clock_sleep_ms(10);
	fake->is_frozen[i] = true;
	fake_moment();
	return 0;
}

static int
fake_thaw_files(void *context, int fd)
{
	int i = fake_index(fd);

	(void)context;
	fake_moment();
	fake_note('T', i);
	if (i >= FILES)
		return -EBADF;
	if (fake->thaw_errors[i] > 0) {
		fake->thaw_errors[i]--;
		return -EIO;
	}
	fake->is_frozen[i] = false;
	fake->is_foreign[i] = false;
	fake_moment();
	return 0;
}

static void
fake_wake_holder(void *context)
{
	(void)context;
	fake_moment();
	fake_note('h', FAKE_ALL);
	if (fake->asks[fake->asked] != QUIESCE_ASK_NONE) {
		(void)quiesce_ask(quiesce, fake->asks[fake->asked++], QUIESCE_THAW_THAW);
		bell_ring(options.wake_fd);
	}
}

static void
limit_files(rlim_t count)
{
	struct rlimit limit;

	(void)getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = count;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

static void
fake_pause(void *context, uint32_t ms)
{
	(void)context;
	(void)ms;
	fake_note('p', FAKE_ALL);
	if (fake->files_after_pause > 0)
		limit_files(fake->files_after_pause);
}

static const struct freezer fake_freezer = {
	.await_rest = fake_await_rest,
	.freeze_sessions = fake_freeze_sessions,
	.await_sessions = fake_await_sessions,
	.open_files = fake_open_files,
	.sync_files = fake_sync_files,
	.freeze_files = fake_freeze_files,
	.thaw_files = fake_thaw_files,
	.wake_holder = fake_wake_holder,
	.pause = fake_pause,
};

/* ---- what a test begins with ------------------------------------------------ */

static void *
share(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

static int
begin(void **state)
{
	struct switch_ledger *ledger;

	(void)state;
	fake = share(sizeof(*fake));
	quiesce = share(sizeof(*quiesce));
	if (fake == NULL || quiesce == NULL || switch_ledger_new(&ledger) < 0)
		return -1;
	order = (struct quiesce_order){ .freezes_sessions = true,
		.syncs = true,
		.is_all = true,
		.within_ms = WITHIN_MS,
		.hold_ms = WITHIN_MS };
	options = (struct switch_options){ .quiesce = quiesce,
		.order = &order,
		.ledger = ledger,
		.freezer = &fake_freezer,
		.wake_fd = bell_open(),
		.number = NUMBER };
	switch_ledger_lend(ledger, true);
	fake->asks[0] = QUIESCE_ASK_THAW;
	atomic_store(&quiesce->word, (NUMBER << 24) | QUIESCE_ASKED);
	return fdpass_open(&options.keep_read_fd, &options.keep_write_fd);
}

static int
end(void **state)
{
	(void)state;
	switch_ledger_free(&options.ledger);
	(void)munmap(fake, sizeof(*fake));
	(void)munmap(quiesce, sizeof(*quiesce));
	fd_close(&options.wake_fd);
	fd_close(&options.keep_read_fd);
	fd_close(&options.keep_write_fd);
	return 0;
}

/* Runs a switch as a process of its own. Returns its exit status, or -1: it was killed. */
static int
run(void)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(switch_go(&options));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void
assert_nothing_is_frozen(void)
{
	int fds[FD_KEEP_MAX];

	for (int i = 0; i < FILES; i++)
		assert_false(fake->is_frozen[i]);
	assert_false(fake->has_sessions);
	assert_true(switch_ledger_is_clear(options.ledger));
	assert_int_equal(fd_keep_look(options.keep_read_fd, fds), -EAGAIN);
}

static void
assert_failed(int step, const char *error)
{
	assert_int_equal(run(), SWITCH_EXIT_FAILED);
	assert_int_equal(quiesce->report.steps_count, step + 1);
	assert_string_equal(quiesce->report.steps[step].error, error);
	for (int i = 0; i < step; i++)
		assert_string_equal(quiesce->report.steps[i].error, "");
	assert_nothing_is_frozen();
}

/* ---- tests ------------------------------------------------------------------ */

static void
test_all_is_frozen_in_order_and_thawed_in_reverse_with_the_sessions_last(void **state)
{
	(void)state;
	assert_int_equal(run(), SWITCH_EXIT_THAWED + QUIESCE_THAW_THAW);
	assert_string_equal(fake->events, "rSy0y1y2F0F1F2hT2T1T0s");
	assert_int_equal(quiesce_phase(quiesce), QUIESCE_THAWING);
	assert_nothing_is_frozen();
}

static void
test_the_report_names_what_is_frozen_and_what_was_skipped(void **state)
{
	const struct quiesce_report *report = &quiesce->report;

	(void)state;
	fake->is_foreign[1] = true;
	fake->freeze_error[2] = -EOPNOTSUPP;
	assert_int_equal(run(), SWITCH_EXIT_THAWED + QUIESCE_THAW_THAW);
	assert_int_equal(report->steps_count, QUIESCE_STEP_COUNT);
	for (int i = 0; i < QUIESCE_STEP_COUNT; i++)
		assert_string_equal(report->steps[i].error, "");
	assert_int_equal(report->places_count, 4);
	assert_string_equal(report->places[0].why, "network");
	assert_string_equal(report->places[1].path, "/0");
	assert_string_equal(report->places[1].type, "ext4");
	assert_string_equal(report->places[1].why, "");
	assert_string_equal(report->places[2].why, "frozen by another");
	assert_string_equal(report->places[3].why, "can't be frozen");
	/* What another has frozen is not ours to thaw. */
	assert_true(fake->is_foreign[1]);
	assert_string_equal(fake->events, "rSy0y1y2F0F1F2hT0s");
	assert_nothing_is_frozen();
}

static void
test_nothing_but_what_is_asked_for_is_done(void **state)
{
	(void)state;
	order = (struct quiesce_order){ .within_ms = WITHIN_MS, .hold_ms = WITHIN_MS };
	assert_int_equal(run(), SWITCH_EXIT_THAWED + QUIESCE_THAW_THAW);
	assert_string_equal(fake->events, "rh");
}

static void
test_a_sync_alone_freezes_no_file_system(void **state)
{
	(void)state;
	order.is_all = false;
	order.freezes_sessions = false;
	assert_int_equal(run(), SWITCH_EXIT_THAWED + QUIESCE_THAW_THAW);
	assert_string_equal(fake->events, "ry0y1y2h");
	assert_nothing_is_frozen();
}

static void
test_a_session_that_does_not_rest_is_named(void **state)
{
	(void)state;
	fake->rest_error = -ETIMEDOUT;
	assert_failed(QUIESCE_STEP_REST, "ETIMEDOUT: session 17 (read) does not rest");
	assert_string_equal(fake->events, "r");
}

static void
test_a_ring_that_means_nothing_ends_no_step(void **state)
{
	(void)state;
	fake->rest_error = -EINTR;
	assert_int_equal(run(), SWITCH_EXIT_THAWED + QUIESCE_THAW_THAW);
	assert_string_equal(fake->events, "rrSy0y1y2F0F1F2hT2T1T0s");
}

static void
test_sessions_that_do_not_stop_are_let_go(void **state)
{
	(void)state;
	fake->sessions_error = -ETIMEDOUT;
	assert_failed(
	    QUIESCE_STEP_SESSIONS, "ETIMEDOUT: a process is in the kernel, and does not stop");
	assert_string_equal(fake->events, "rSs");
}

static void
test_without_a_cgroup_the_rest_is_done(void **state)
{
	(void)state;
	fake->sessions_error = -ENOTSUP;
	assert_int_equal(run(), SWITCH_EXIT_THAWED + QUIESCE_THAW_THAW);
	assert_string_equal(fake->events, "ry0y1y2F0F1F2hT2T1T0");
	assert_string_equal(
	    quiesce->report.steps[QUIESCE_STEP_SESSIONS].error, "ENOTSUP: there is no cgroup v2");
	assert_nothing_is_frozen();
}

static void
test_a_file_system_that_fails_has_sessions_thawed_first(void **state)
{
	(void)state;
	fake->freeze_error[2] = -EIO;
	assert_failed(QUIESCE_STEP_FSFREEZE, "EIO: /2");
	assert_string_equal(fake->events, "rSy0y1y2F0F1F2sT1T0");
}

static void
test_a_named_file_system_that_another_has_frozen_is_an_error(void **state)
{
	(void)state;
	order.is_all = false;
	order.paths_count = 1;
	fake->is_foreign[0] = true;
	assert_failed(QUIESCE_STEP_FSFREEZE, "EBUSY: /0: frozen by another");
	assert_true(fake->is_foreign[0]);
}

static void
test_a_named_file_system_that_cannot_be_frozen_is_an_error(void **state)
{
	(void)state;
	order.is_all = false;
	order.paths_count = 1;
	fake->freeze_error[1] = -EOPNOTSUPP;
	assert_failed(QUIESCE_STEP_FSFREEZE, "ENOTSUP: /1: can't be frozen");
}

static void
test_what_takes_too_long_is_undone(void **state)
{
	(void)state;
	order.within_ms = 0;
	assert_failed(QUIESCE_STEP_REST, "ETIMEDOUT: not done in within_ms");
}

static void
test_who_does_not_rest_is_named_though_a_ring_comes_at_the_last_moment(void **state)
{
	(void)state;
	order.within_ms = 1000;
	fake->rest_error = -EINTR;
	fake->rings_late = true;
	assert_failed(QUIESCE_STEP_REST, "ETIMEDOUT: session 17 (read) does not rest");
}

static void
test_a_last_freeze_that_takes_too_long_is_undone_too(void **state)
{
	(void)state;
	order.within_ms = 2000;
	fake->is_slow[FILES - 1] = true;
	assert_failed(QUIESCE_STEP_FSFREEZE, "ETIMEDOUT: not done in within_ms");
	assert_string_equal(fake->events, "rSy0y1y2F0F1F2sT2T1T0");
}

static void
test_a_thaw_before_all_is_frozen_calls_it_off(void **state)
{
	(void)state;
	assert_int_equal(quiesce_ask(quiesce, QUIESCE_ASK_THAW, QUIESCE_THAW_GONE), 0);
	assert_failed(QUIESCE_STEP_REST, "ECANCELED: it was called off");
}

static void
test_a_hold_that_nobody_ends_expires(void **state)
{
	uint64_t start = clock_mono_ms();

	(void)state;
	fake->asks[0] = QUIESCE_ASK_NONE;
	order.hold_ms = 50;
	assert_int_equal(run(), SWITCH_EXIT_THAWED + QUIESCE_THAW_EXPIRED);
	assert_true(clock_mono_ms() - start >= 50);
	assert_nothing_is_frozen();
}

static void
test_file_systems_thaw_first_and_sessions_when_they_are_asked_to(void **state)
{
	(void)state;
	fake->asks[0] = QUIESCE_ASK_THAW_FILES;
	fake->asks[1] = QUIESCE_ASK_HOLD;
	fake->asks[2] = QUIESCE_ASK_THAW;
	assert_int_equal(run(), SWITCH_EXIT_THAWED + QUIESCE_THAW_THAW);
	assert_string_equal(fake->events, "rSy0y1y2F0F1F2hT2T1T0hhs");
	assert_int_equal(atomic_load(&quiesce->answer), 2);
	assert_nothing_is_frozen();
}

static void
test_a_hold_that_is_asked_for_again_begins_anew(void **state)
{
	uint64_t first;

	(void)state;
	fake->asks[0] = QUIESCE_ASK_HOLD;
	fake->asks[1] = QUIESCE_ASK_NONE;
	order.hold_ms = 200;
	first = clock_mono_ms();
	assert_int_equal(run(), SWITCH_EXIT_THAWED + QUIESCE_THAW_EXPIRED);
	assert_true(clock_mono_ms() - first >= 200);
	assert_int_equal(atomic_load(&quiesce->answer), 1);
}

static char
state_of(pid_t pid)
{
	char path[64];
	char text[256] = "";
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	assert_non_null(file);
	assert_true(fread(text, 1, sizeof(text) - 1, file) > 0);
	(void)fclose(file);
	return strrchr(text, ')')[2];
}

/* A process that is stopped finds its wait as late as one whose clock has jumped. */
static void
jump_over_the_end(pid_t pid)
{
	uint64_t due = atomic_load(&options.ledger->hold_until_ms);

	assert_int_equal(kill(pid, SIGSTOP), 0);
	while (hold_timer_now_ms() <= due + HOLD_TIMER_JUMP_MS)
		clock_sleep_ms(20);
	assert_int_equal(kill(pid, SIGCONT), 0);
	while (atomic_load(&options.ledger->hold_until_ms) == due)
		clock_sleep_ms(1);
}

static void
ask(enum quiesce_ask_kind kind)
{
	assert_int_equal(quiesce_ask(quiesce, kind, QUIESCE_THAW_RESTORED), 0);
	bell_ring(options.wake_fd);
}

static void
test_after_a_jump_who_thaws_file_systems_has_the_whole_hold_for_the_rest(void **state)
{
	uint64_t given;
	pid_t pid;
	int status;

	(void)state;
	fake->asks[0] = QUIESCE_ASK_NONE;
	order.hold_ms = 5000;
	order.holds_when_gone = true;
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(switch_go(&options));
	while (quiesce_phase(quiesce) != QUIESCE_HELD || state_of(pid) != 'S')
		clock_sleep_ms(1);
	jump_over_the_end(pid);
	given = atomic_load(&options.ledger->hold_until_ms);
	ask(QUIESCE_ASK_THAW_FILES);
	while (atomic_load(&quiesce->answer) == 0)
		clock_sleep_ms(1);
	assert_true(
	    atomic_load(&options.ledger->hold_until_ms) >= given + 5000 - HOLD_TIMER_GRANT_MS);
	ask(QUIESCE_ASK_THAW);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), SWITCH_EXIT_THAWED + QUIESCE_THAW_RESTORED);
	assert_nothing_is_frozen();
}

static void
test_a_file_system_that_does_not_thaw_is_tried_again_and_sessions_go_on(void **state)
{
	(void)state;
	fake->thaw_errors[1] = 6;
	assert_int_equal(run(), SWITCH_EXIT_THAWED + QUIESCE_THAW_THAW);
	assert_string_equal(fake->events, "rSy0y1y2F0F1F2hT2T1T0"
					  "pT1pT1pT1sp"
					  "T1pT1pT1");
	assert_nothing_is_frozen();
}

/* Kills the switch in the moment FIRST, and its successors in the moments of LATER, until one
 * comes to an end. */
static void
assert_thawed_after_kills(int first, const int *later, int later_count)
{
	int killed = 0;
	int status;

	fake->die_at = first;
	status = run();
	options.is_successor = true;
	options.why = QUIESCE_THAW_GONE;
	while (status < 0) {
		fake->moments = 0;
		fake->die_at = killed < later_count ? later[killed] : 0;
		killed++;
		status = run();
	}
	if (killed > 0)
		assert_int_equal(status, SWITCH_EXIT_THAWED + QUIESCE_THAW_GONE);
	assert_nothing_is_frozen();
}

static void
test_a_successor_that_gets_some_of_the_descriptors_looks_again(void **state)
{
	struct rlimit limit;
	int next_fd;

	(void)state;
	fake->die_at = MOMENT_HELD;
	assert_int_equal(run(), -1);
	assert_string_equal(fake->events, "rSy0y1y2F0F1F2");
	options.is_successor = true;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	next_fd = dup(options.wake_fd);
	assert_int_equal(close(next_fd), 0);
	fake->files_after_pause = limit.rlim_cur;
	limit_files((rlim_t)next_fd + 1);
	assert_int_equal(run(), SWITCH_EXIT_THAWED + QUIESCE_THAW_HOST);
	limit_files(limit.rlim_cur);
	assert_string_equal(fake->events, "rSy0y1y2F0F1F2"
					  "pT2T1T0s");
	assert_nothing_is_frozen();
}

static int
count_moments(void)
{
	int moments;

	assert_int_equal(begin(NULL), 0);
	(void)run();
	moments = fake->moments;
	assert_int_equal(end(NULL), 0);
	assert_true(moments > 20);
	return moments;
}

static void
test_a_switch_that_is_killed_at_any_moment_leaves_nothing_frozen(void **state)
{
	int moments = count_moments();

	(void)state;
	for (int i = 1; i <= moments; i++) {
		assert_int_equal(begin(NULL), 0);
		assert_thawed_after_kills(i, NULL, 0);
		assert_int_equal(end(NULL), 0);
	}
}

static void
test_successors_that_are_killed_too_leave_nothing_frozen(void **state)
{
	int moments = count_moments();

	(void)state;
	srand(1);
	for (int i = 0; i < KILL_ROUNDS; i++) {
		int later[4];

		for (size_t j = 0; j < sizeof(later) / sizeof(later[0]); j++)
			later[j] = rand() % 12;
		assert_int_equal(begin(NULL), 0);
		assert_thawed_after_kills(rand() % moments + 1, later, 4);
		assert_int_equal(end(NULL), 0);
	}
}

#define SWITCH_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SWITCH_TEST(
		    test_all_is_frozen_in_order_and_thawed_in_reverse_with_the_sessions_last),
		SWITCH_TEST(test_the_report_names_what_is_frozen_and_what_was_skipped),
		SWITCH_TEST(test_nothing_but_what_is_asked_for_is_done),
		SWITCH_TEST(test_a_sync_alone_freezes_no_file_system),
		SWITCH_TEST(test_a_session_that_does_not_rest_is_named),
		SWITCH_TEST(test_a_ring_that_means_nothing_ends_no_step),
		SWITCH_TEST(test_sessions_that_do_not_stop_are_let_go),
		SWITCH_TEST(test_without_a_cgroup_the_rest_is_done),
		SWITCH_TEST(test_a_file_system_that_fails_has_sessions_thawed_first),
		SWITCH_TEST(test_a_named_file_system_that_another_has_frozen_is_an_error),
		SWITCH_TEST(test_a_named_file_system_that_cannot_be_frozen_is_an_error),
		SWITCH_TEST(test_what_takes_too_long_is_undone),
		SWITCH_TEST(test_who_does_not_rest_is_named_though_a_ring_comes_at_the_last_moment),
		SWITCH_TEST(test_a_last_freeze_that_takes_too_long_is_undone_too),
		SWITCH_TEST(test_a_thaw_before_all_is_frozen_calls_it_off),
		SWITCH_TEST(test_a_hold_that_nobody_ends_expires),
		SWITCH_TEST(test_file_systems_thaw_first_and_sessions_when_they_are_asked_to),
		SWITCH_TEST(test_a_hold_that_is_asked_for_again_begins_anew),
		SWITCH_TEST(
		    test_after_a_jump_who_thaws_file_systems_has_the_whole_hold_for_the_rest),
		SWITCH_TEST(
		    test_a_file_system_that_does_not_thaw_is_tried_again_and_sessions_go_on),
		SWITCH_TEST(test_a_successor_that_gets_some_of_the_descriptors_looks_again),
		cmocka_unit_test(test_a_switch_that_is_killed_at_any_moment_leaves_nothing_frozen),
		cmocka_unit_test(test_successors_that_are_killed_too_leave_nothing_frozen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
