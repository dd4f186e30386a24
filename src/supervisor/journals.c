/*
 * SPDX-License-Identifier: MIT
 */
#include "supervisor/journals.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "platform/clock.h"
#include "platform/entropy.h"
#include "platform/fd.h"
#include "platform/log.h"
#include "platform/proc.h"
#include "platform/text.h"
#include "shared/attachment.h"
#include "shared/holder_place.h"
#include "shared/slot_wake.h"
#include "supervisor/own_fd.h"

/* Linux 6.3; without it the kernel complains in its log. */
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

/* Where the numbers of the descriptors begin. Workers keep them, so that they lie below
 * the supervisor's own. */
#define JOURNALS_FD_MIN 64
_Static_assert(JOURNALS_FD_MIN + JOURNAL_COUNT <= OWN_FD_MIN, "workers would close some of them");

#define JOURNALS_BYTES_PER_MIB (1024ull * 1024)

/* vm.overcommit_memory of a kernel that gives out no more than it has. */
#define JOURNALS_OVERCOMMIT_NEVER '2'

/* ---- the beginning ----------------------------------------------------- */

uint64_t
journals_limit(uint64_t memory_bytes, uint32_t max_mib)
{
	uint64_t part = memory_bytes / JOURNALS_MEMORY_PART;
	uint64_t max = max_mib * JOURNALS_BYTES_PER_MIB;

	return part < max ? part : max;
}

static int
journals_make_file(void)
{
	int fd = memfd_create("journal", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create("journal", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	return fd < 0 ? -errno : fd;
}

/* Makes one, all hole. The seals keep a worker that runs wild from taking it away under
 * the others. */
static int
journals_make(off_t size, int *ret_fd)
{
	int CLEANUP_FD made_fd = journals_make_file();
	int CLEANUP_FD fd = -1;

	if (made_fd < 0)
		return made_fd;
	fd = fcntl(made_fd, F_DUPFD_CLOEXEC, JOURNALS_FD_MIN);
	if (fd < 0 || ftruncate(fd, size) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -errno;
	*ret_fd = fd_steal(&fd);
	return 0;
}

static int
journals_make_all(struct scoreboard *board)
{
	int r = 0;

	for (uint32_t i = 0; i < JOURNAL_COUNT && r == 0; i++) {
		r = journals_make(journal_file_size(board->workers), &board->journal_fds[i]);
		board->journal_count += r == 0;
	}
	while (r < 0 && board->journal_count > 0)
		fd_close(&board->journal_fds[--board->journal_count]);
	return r;
}

/* Whether the kernel promises to nobody more memory than there is: then it is not for us
 * to take so much of it. */
static bool
journals_are_unaffordable(void)
{
	char text[8];

	return fd_read_file(proc_dir_fd(), "sys/vm/overcommit_memory", text, sizeof(text)) > 0 &&
	       text[0] == JOURNALS_OVERCOMMIT_NEVER;
}

void
journals_open(struct scoreboard *board, uint64_t bytes_max)
{
	const char *problem = NULL;
	int r = entropy_draw(board->instance, sizeof(board->instance));

	if (bytes_max == 0)
		problem = "none are wanted";
	else if (board->workers < JOURNAL_WORKERS_MIN)
		problem = "there are too few workers";
	else if (journals_are_unaffordable())
		problem = "vm.overcommit_memory is 2";
	if (problem == NULL && r == 0)
		r = journals_make_all(board);
	if (problem != NULL || r < 0)
		log_info("no durable sessions: %s", problem != NULL ? problem : strerror(-r));
	else
		board->journal_bytes_max = bytes_max;
}

/* ---- the turns ----------------------------------------------------------- */

/* Wakes everybody who may sleep for a durable session. Whoever died may have changed what
 * they wait for, and not have rung yet: then nobody else would. */
static void
journals_wake_all(const struct scoreboard *board)
{
	for (uint32_t i = 0; i < board->workers; i++)
		if (atomic_load(&board->slots[i].attachment.session) != 0)
			(void)slot_wake(&board->slots[i]);
	for (uint32_t i = 0; i < board->journal_count; i++) {
		const struct journal_record *record = &board->journals.records[i];
		uint32_t owner = atomic_load(&record->owner) - 1;

		if (journal_state(record) == JOURNAL_RUNS && owner < board->workers)
			(void)slot_wake(&board->slots[owner]);
	}
}

void
journals_bury(struct scoreboard *board, uint32_t index, const char *cause)
{
	char words[JOURNAL_WORDS_MAX];

	if (board->journal_count == 0)
		return;
	attachment_end(board, index);
	(void)text_format(words, sizeof(words), "worker lost: %s", cause);
	(void)journal_lose(board, index, words);
	holder_place_bury(board, index);
	journals_wake_all(board);
}

void
journals_stop_clock(struct journals_keeper *keeper, uint64_t now_ms)
{
	keeper->ran_ms = run_clock_look(&keeper->clock, now_ms);
	keeper->is_still = true;
}

void
journals_start_clock(struct journals_keeper *keeper, uint64_t now_ms)
{
	run_clock_set(&keeper->clock, now_ms, keeper->ran_ms);
	keeper->is_still = false;
}

uint64_t
journals_step(
    struct scoreboard *board, struct journals_keeper *keeper, uint64_t now_ms, uint64_t stall_ms)
{
	uint64_t next_ms;

	if (!keeper->is_still)
		keeper->ran_ms = run_clock_look(&keeper->clock, now_ms);
	next_ms = journal_expire(board, &keeper->kept, keeper->ran_ms, stall_ms);
	/* What is forgotten meanwhile goes at once. */
	return keeper->is_still ? CLOCK_NEVER : run_clock_plan(&keeper->clock, next_ms);
}
