/*
 * SPDX-License-Identifier: MIT
 */
#include "supervisor/switch_freezer.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>

#include "platform/block_mounts.h"
#include "platform/clock.h"
#include "platform/fd.h"
#include "platform/freeze.h"
#include "platform/proc.h"
#include "platform/text.h"
#include "shared/slot_wake.h"
#include "supervisor/switch_files.h"

/* ---- workers ---------------------------------------------------------------- */

/* Whether the worker of INDEX has what has to come to rest. Control requests have not: they
 * are short, and served all the time. */
static bool
switch_freezer_has_session(const struct switch_freezer *freezer, uint32_t index)
{
	const struct slot *slot = &freezer->board->slots[index];

	return atomic_load(&slot->spawning) != SLOT_SPAWN_NONE ||
	       atomic_load(&slot->has_to_rest) != 0;
}

static bool
switch_freezer_rests(const struct switch_freezer *freezer, uint32_t index)
{
	const struct slot *slot = &freezer->board->slots[index];

	return atomic_load(&slot->rests) == (uint32_t)freezer->number &&
	       atomic_load(&slot->spawning) == SLOT_SPAWN_NONE;
}

/* Wakes all that do not rest yet: whoever was waiting has not seen the number. Returns the
 * first of them, or NULL. */
static const struct slot *
switch_freezer_wake_restless(const struct switch_freezer *freezer)
{
	const struct slot *first = NULL;

	for (uint32_t i = 0; i < freezer->board->workers; i++) {
		const struct slot *slot = &freezer->board->slots[i];

		if (!switch_freezer_has_session(freezer, i) || switch_freezer_rests(freezer, i))
			continue;
		(void)slot_wake(slot);
		if (first == NULL)
			first = slot;
	}
	return first;
}

static int
switch_freezer_await_rest(
    void *context, int wake_fd, uint64_t deadline_ms, char words[QUIESCE_ERROR_MAX])
{
	const struct switch_freezer *freezer = context;
	struct pollfd wait = { .fd = wake_fd, .events = POLLIN };
	const struct slot *restless = switch_freezer_wake_restless(freezer);
	uint64_t now = clock_mono_ms();
	int n = 0;

	if (restless == NULL)
		return 0;
	if (now < deadline_ms)
		n = poll(&wait, 1, clock_poll_timeout(now, deadline_ms));
	if (n != 0)
		return n > 0 || errno == EINTR ? -EINTR : -errno;
	(void)text_format(words, QUIESCE_ERROR_MAX, "session %" PRIu64 " (%.*s) does not rest",
	    atomic_load(&restless->session), (int)sizeof(restless->kind), restless->kind);
	return -ETIMEDOUT;
}

static void
switch_freezer_wake_holder(void *context)
{
	const struct switch_freezer *freezer = context;
	uint32_t holder = quiesce_holder(&freezer->board->quiesce);

	if (holder > 0 && holder <= freezer->board->workers)
		(void)slot_wake(&freezer->board->slots[holder - 1]);
}

/* ---- sessions ---------------------------------------------------------------- */

static int
switch_freezer_freeze_sessions(void *context, bool is_frozen)
{
	const struct switch_freezer *freezer = context;
	int r = -ENOTSUP;

	if (freezer->session_cgroups_fd >= 0)
		r = freeze_cgroup(freezer->session_cgroups_fd, is_frozen);
	return r == -ENOENT ? -ENOTSUP : r;
}

static int
switch_freezer_await_sessions(void *context, int wake_fd, uint64_t deadline_ms)
{
	const struct switch_freezer *freezer = context;

	return freeze_await_cgroup(freezer->session_cgroups_fd, true, wake_fd, deadline_ms);
}

/* ---- file systems ------------------------------------------------------------ */

static int
switch_freezer_open_files(void *context, const struct quiesce_order *order,
    struct quiesce_report *report, struct switch_files *ret, char words[QUIESCE_ERROR_MAX])
{
	struct block_mounts CLEANUP_BLOCK_MOUNTS mounts = { 0 };
	int CLEANUP_FD sys_fd = open("/sys", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = block_mounts_read(proc_dir_fd(), sys_fd, &mounts);

	(void)context;
	if (r == 0)
		r = switch_files_open(&mounts, order, report, ret, words);
	return r;
}

static int
switch_freezer_sync_files(void *context, int fd)
{
	(void)context;
	return freeze_sync(fd);
}

static int
switch_freezer_freeze_files(void *context, int fd)
{
	(void)context;
	return freeze_files(fd);
}

static int
switch_freezer_thaw_files(void *context, int fd)
{
	(void)context;
	return freeze_thaw_files(fd);
}

static void
switch_freezer_pause(void *context, uint32_t ms)
{
	(void)context;
	clock_sleep_ms(ms);
}

void
switch_freezer_init(struct switch_freezer *freezer, struct scoreboard *board, uint64_t number,
    int session_cgroups_fd)
{
	*freezer = (struct switch_freezer){
		.board = board,
		.number = number,
		.session_cgroups_fd = session_cgroups_fd,
		.freezer = { .context = freezer,
		    .await_rest = switch_freezer_await_rest,
		    .freeze_sessions = switch_freezer_freeze_sessions,
		    .await_sessions = switch_freezer_await_sessions,
		    .open_files = switch_freezer_open_files,
		    .sync_files = switch_freezer_sync_files,
		    .freeze_files = switch_freezer_freeze_files,
		    .thaw_files = switch_freezer_thaw_files,
		    .wake_holder = switch_freezer_wake_holder,
		    .pause = switch_freezer_pause },
	};
}
