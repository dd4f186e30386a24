/*
 * file_temporary: the temporary names that replacing a file takes for a moment.
 *
 * SPDX-License-Identifier: MIT
 */
#include "session/file/temporary.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "platform/clock.h"
#include "platform/fd.h"
#include "platform/proc.h"
#include "platform/text.h"
#include "platform/watchdog.h"
#include "session/session.h"

/* How long a file system may take to give up what was left in it. */
#define FILE_TEMPORARY_MAX_MS 10000

static void
file_temporary_name(uint32_t slot, uint64_t number, char ret[FILE_TEMPORARY_NAME_MAX])
{
	(void)text_format(
	    ret, FILE_TEMPORARY_NAME_MAX, ".vmm-guest-%" PRIu32 "-%" PRIu64, slot, number);
}

/* Microseconds since boot are new after each restart of a worker; only the same
 * microsecond needs the step. */
static uint64_t
file_temporary_number(void)
{
	static uint64_t last;
	uint64_t number = clock_mono_us();

	last = number > last ? number : last + 1;
	return last;
}

void
file_temporary_announce(struct session *session, int dir_fd, const struct stat *file,
    char ret_name[FILE_TEMPORARY_NAME_MAX])
{
	struct scoreboard_temporary *record =
	    scoreboard_temporary(session->board, session->slot_index);
	uint64_t number = file_temporary_number();
	char link[PROC_FD_LINK_MAX];
	struct stat dir;
	ssize_t len;

	file_temporary_name(session->slot_index, number, ret_name);
	atomic_store(&record->standing, 0);
	proc_fd_link(dir_fd, link);
	len = readlinkat(proc_dir_fd(), link, record->dir, sizeof(record->dir));
	if (len <= 0 || (size_t)len >= sizeof(record->dir) || fstat(dir_fd, &dir) < 0)
		return;
	record->dir[len] = '\0';
	record->dir_dev = dir.st_dev;
	record->dir_ino = dir.st_ino;
	record->number = number;
	record->ino = 0;
	if (file != NULL) {
		record->dev = file->st_dev;
		record->ino = file->st_ino;
	}
	atomic_store(&record->standing, 1);
}

void
file_temporary_identify(struct session *session, const struct stat *file)
{
	struct scoreboard_temporary *record =
	    scoreboard_temporary(session->board, session->slot_index);

	record->dev = file->st_dev;
	record->ino = file->st_ino;
}

void
file_temporary_forget(struct session *session)
{
	atomic_store(&scoreboard_temporary(session->board, session->slot_index)->standing, 0);
}

bool
file_temporary_is_name(const char *name)
{
	uint32_t slot;
	uint64_t number;
	char same[FILE_TEMPORARY_NAME_MAX];

	if (sscanf(name, ".vmm-guest-%" SCNu32 "-%" SCNu64, &slot, &number) != 2)
		return false;
	file_temporary_name(slot, number, same);
	return strcmp(name, same) == 0;
}

/* Unlinks NAME where it is what RECORD tells of. */
static void
file_temporary_unlink(const struct scoreboard_temporary *record, const char *name)
{
	int CLEANUP_FD dir_fd = -1;
	struct stat status;

	dir_fd = open(record->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0 || fstat(dir_fd, &status) < 0 || status.st_ino != record->dir_ino ||
	    status.st_dev != record->dir_dev)
		return;
	if (fstatat(dir_fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	if (record->ino != 0 ? status.st_ino != record->ino || status.st_dev != record->dev
			     : !S_ISREG(status.st_mode) && !S_ISLNK(status.st_mode))
		return;
	(void)unlinkat(dir_fd, name, 0);
}

void
file_temporary_collect(struct scoreboard *board, uint32_t index)
{
	struct scoreboard_temporary *record = scoreboard_temporary(board, index);
	char name[FILE_TEMPORARY_NAME_MAX];

	if (atomic_exchange(&record->standing, 0) == 0)
		return;
	record->dir[sizeof(record->dir) - 1] = '\0';
	file_temporary_name(index, record->number, name);
	/* Where the file system does not answer, this is the end of us; but the record is
	 * gone, and the next worker serves. */
	watchdog_set(FILE_TEMPORARY_MAX_MS);
	file_temporary_unlink(record, name);
	watchdog_set(0);
}
