/*
 * scoreboard: what the workers tell of themselves, in shared memory.
 *
 * SPDX-License-Identifier: MIT
 */
#include "shared/scoreboard.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "platform/bell.h"
#include "platform/fd.h"
#include "protocol/frame.h"

static size_t
scoreboard_slots_end(uint32_t workers)
{
	return sizeof(struct scoreboard) + workers * sizeof(struct slot);
}

struct scoreboard_temporary *
scoreboard_temporary(struct scoreboard *board, uint32_t index)
{
	void *records = (char *)board + scoreboard_slots_end(board->workers);

	return (struct scoreboard_temporary *)records + index;
}

int
scoreboard_new(uint32_t workers, uint32_t reserved, struct scoreboard **ret)
{
	size_t size = scoreboard_slots_end(workers) + workers * sizeof(struct scoreboard_temporary);
	struct scoreboard *board =
	    mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int CLEANUP_FD bell_fd = -1;
	int quiesce_bell_fd;

	if (board == MAP_FAILED)
		return -errno;
	if (mmap(board->own, sizeof(board->own), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		bell_fd = -errno;
	else
		bell_fd = bell_open();
	quiesce_bell_fd = bell_fd < 0 ? bell_fd : bell_open();
	if (quiesce_bell_fd < 0) {
		(void)munmap(board, size);
		return quiesce_bell_fd;
	}
	board->bell_fd = fd_steal(&bell_fd);
	board->quiesce_bell_fd = quiesce_bell_fd;
	board->workers = workers;
	board->reserved = reserved;
	atomic_store(&board->shutdown.grace_ms, SCOREBOARD_GRACE_MS);
	*ret = board;
	return 0;
}

size_t
slot_format_held(uint8_t count, uint8_t frames[SLOT_HELD_LEN])
{
	size_t len = 0;

	for (; count > 0; count--, len += VMM_GUEST_HEADER_LEN)
		frame_header_format(frames + len, VMM_GUEST_FILE_ACK, 0);
	return len;
}

void
scoreboard_clear_slot(struct slot *slot)
{
	atomic_store(&slot->in_frame, 0);
	atomic_store_explicit(&slot->is_flushing, 0, memory_order_relaxed);
	atomic_store_explicit(&slot->held, 0, memory_order_relaxed);
	atomic_store(&slot->spawning, SLOT_SPAWN_NONE);
	atomic_store_explicit(&slot->is_silent, 0, memory_order_relaxed);
	atomic_store(&slot->asks_end, 0);
	atomic_store_explicit(&slot->rests, 0, memory_order_relaxed);
	atomic_store_explicit(&slot->has_to_rest, 0, memory_order_relaxed);
	atomic_store(&slot->reply_style, SLOT_REPLY_NONE);
	atomic_store(&slot->child_pid, 0);
	atomic_store(&slot->session, 0);
	atomic_store(&slot->bytes_in, 0);
	atomic_store(&slot->bytes_out, 0);
	slot->kind[0] = '\0';
	slot->name[0] = '\0';
	slot->user[0] = '\0';
	slot->command[0] = '\0';
	if (atomic_load_explicit(&slot->attachment.session, memory_order_relaxed) != 0)
		atomic_store(&slot->attachment.session, 0);
	/* Last: from here on the slot counts as idle. */
	atomic_store(&slot->phase, SLOT_IDLE);
}

uint32_t
scoreboard_count_idle(const struct scoreboard *board)
{
	uint32_t idle = 0;

	for (uint32_t i = 0; i < board->workers; i++) {
		const struct slot *slot = &board->slots[i];

		if (atomic_load(&slot->worker_pid) != 0 && atomic_load(&slot->phase) == SLOT_IDLE)
			idle++;
	}
	return idle;
}

/* The grace is in the low bits, the action above it, and this mark above that; what a
 * worker that ran wild has written there does not have it. */
#define SCOREBOARD_ASKED UINT64_C(0xa5e0d0)
#define SCOREBOARD_ASKED_SHIFT 40
#define SCOREBOARD_ACTION_SHIFT 32

void
scoreboard_ask_end(struct scoreboard *board, uint8_t action, uint32_t grace_ms)
{
	uint64_t there = atomic_load(&board->shutdown.asked);
	uint64_t word = SCOREBOARD_ASKED << SCOREBOARD_ASKED_SHIFT |
			(uint64_t)action << SCOREBOARD_ACTION_SHIFT | grace_ms;

	while (there >> SCOREBOARD_ASKED_SHIFT != SCOREBOARD_ASKED &&
	       !atomic_compare_exchange_weak(&board->shutdown.asked, &there, word))
		;
}

bool
scoreboard_is_end_asked(const struct scoreboard *board, uint8_t *ret_action, uint32_t *ret_grace_ms)
{
	uint64_t word = atomic_load(&board->shutdown.asked);

	if (word >> SCOREBOARD_ASKED_SHIFT != SCOREBOARD_ASKED)
		return false;
	*ret_action = (uint8_t)(word >> SCOREBOARD_ACTION_SHIFT);
	*ret_grace_ms = (uint32_t)word;
	return true;
}
