/*
 * durable_board: a scoreboard with journals as the supervisor makes them, and output that
 * tells its offset: which byte stands there, and of which stream it is. So whoever reads
 * needs no copy of what was written.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_UNIT_DURABLE_BOARD_H
#define TESTS_UNIT_DURABLE_BOARD_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/scoreboard.h"

#define DURABLE_WORKERS 8
#define DURABLE_OWNER 0 /* the slot of whoever claims */

static struct scoreboard *board;

/* A small one: it comes round often. */
static const struct journal_settings durable_settings = {
	.buffer_bytes = JOURNAL_BUFFER_MIN,
	.keep_seconds = 600,
	.when_full = JOURNAL_FULL_DROP,
};

/* Setup of a cmocka test. */
static inline int
durable_make(void **state)
{
	(void)state;
	if (scoreboard_new(DURABLE_WORKERS, 2, &board) < 0)
		return -1;
	for (uint32_t i = 0; i < JOURNAL_COUNT; i++) {
		board->journal_fds[i] = memfd_create("journal", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		if (board->journal_fds[i] < 0 ||
		    ftruncate(board->journal_fds[i], journal_file_size(DURABLE_WORKERS)) < 0 ||
		    fcntl(board->journal_fds[i], F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0)
			return -1;
	}
	board->journal_count = JOURNAL_COUNT;
	board->journal_bytes_max = UINT64_MAX;
	return 0;
}

/* Teardown. The scoreboard stays: there is nothing that frees one. */
static inline int
durable_drop(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < JOURNAL_COUNT; i++)
		(void)close(board->journal_fds[i]);
	(void)close(board->bell_fd);
	return 0;
}

/* Bytes of memory that the journal of INDEX has. */
static inline uint64_t
durable_pages(uint32_t index)
{
	struct stat status = { 0 };

	if (fstat(board->journal_fds[index], &status) < 0)
		abort();
	return (uint64_t)status.st_blocks * 512;
}

/* A journal whose session NUMBER runs, of the worker of DURABLE_OWNER. */
static inline struct journal
durable_start(uint64_t number, const char *name, const struct journal_settings *settings)
{
	struct journal_refusal refusal;
	struct journal journal;

	if (journal_claim(board, DURABLE_OWNER, number, name, settings, &journal, &refusal) < 0)
		abort();
	atomic_store(&board->slots[DURABLE_OWNER].session, number);
	journal_begin(&journal, 1, true);
	return journal;
}

static inline void
durable_finish(const struct journal *journal)
{
	const struct journal_end how = { .code = 7 };

	journal_finish(board, journal, &how);
}

/* The same numbers for the same SEED. */
static inline uint32_t
durable_random(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

static inline uint8_t
durable_byte(uint64_t session, uint64_t offset)
{
	uint64_t mixed = (offset + session * 1000003) * UINT64_C(0x9e3779b97f4a7c15);

	return (uint8_t)(mixed >> 56);
}

/* Each block begins with short runs, some of a single byte, that alternate; the rest is one
 * run. */
#define DURABLE_BLOCK 65536
#define DURABLE_SHORT 2000

static inline uint32_t
durable_run(uint64_t offset)
{
	static const uint32_t runs[] = { 64, 1, 13, 3 };

	return runs[offset / DURABLE_BLOCK % (sizeof(runs) / sizeof(runs[0]))];
}

/* How many bytes from OFFSET on are of one stream; maybe more follow. */
static inline size_t
durable_left(uint64_t offset)
{
	uint32_t run = durable_run(offset);
	uint32_t at = (uint32_t)(offset % DURABLE_BLOCK);

	if (at >= DURABLE_SHORT)
		return DURABLE_BLOCK - at;
	return run - at % run < DURABLE_SHORT - at ? run - at % run : DURABLE_SHORT - at;
}

static inline bool
durable_is_stderr(uint64_t offset)
{
	uint32_t run = durable_run(offset);
	uint32_t at = (uint32_t)(offset % DURABLE_BLOCK);

	return at >= DURABLE_SHORT ? offset / DURABLE_BLOCK % 3 == 1 : at / run % 2 == 1;
}

/* Appends at most MAX bytes, in pieces of random sizes. Returns how many, or -errno. */
static inline ssize_t
durable_write(const struct journal *journal, size_t max, uint32_t *seed)
{
	static uint8_t bytes[65536];
	uint64_t offset = journal_end_offset(journal);
	size_t len = durable_left(offset);
	size_t wish = 1 + durable_random(seed) % max;
	int r;

	if (len > wish)
		len = wish;
	for (size_t i = 0; i < len; i++)
		bytes[i] = durable_byte(journal->session, offset + i);
	r = journal_append(journal, durable_is_stderr(offset), bytes, len);
	return r < 0 ? r : (ssize_t)len;
}

/* Reads one piece at *OFFSET, which is moved on; what was overtaken is added to *LOST.
 * Returns its length, or 0; -errno; or -EBADMSG where what was read is not what stands
 * there. */
static inline ssize_t
durable_read(const struct journal *journal, uint64_t *offset, size_t max, uint64_t *lost)
{
	static uint8_t bytes[JOURNAL_READ_MAX];
	bool is_stderr;
	uint64_t oldest;
	ssize_t n = journal_read(journal, *offset, bytes, max, &is_stderr, &oldest);

	if (n == -ERANGE) {
		if (oldest <= *offset)
			return -EBADMSG;
		*lost += oldest - *offset;
		*offset = oldest;
		return 0;
	}
	for (ssize_t i = 0; i < n; i++)
		if (bytes[i] != durable_byte(journal->session, *offset + (uint64_t)i) ||
		    is_stderr != durable_is_stderr(*offset + (uint64_t)i))
			return -EBADMSG;
	if (n > 0)
		*offset += (uint64_t)n;
	return n;
}

/* fork(2); the child does not outlive a test that fails. */
static inline pid_t
durable_fork(void)
{
	pid_t parent = getpid();
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		_exit(1);
	return 0;
}

/* Waits for the child PID. Returns its exit status, or -1 where a signal ended it. */
static inline int
durable_wait(pid_t pid)
{
	int status = 0;

	if (waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#endif
