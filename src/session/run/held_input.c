/*
 * held_input: standard input that the program has not yet taken.
 *
 * SPDX-License-Identifier: MIT
 */
#include "session/run/held_input.h"

#include <string.h>

#include "platform/memory.h"
#include "vmm-guest/protocol.h"

/* What may stay in memory for the next session. */
#define HELD_INPUT_KEPT (64 * 1024)

static MEMORY_LARGE uint8_t held_input_memory[VMM_GUEST_STDIN_HELD_MAX];
static size_t held_input_head; /* what is held: [head, tail) of it */
static size_t held_input_tail;
static size_t held_input_touched; /* the most that TAIL was since memory was given back */

void
held_input_init(void)
{
	held_input_head = held_input_tail = 0;
}

size_t
held_input_len(void)
{
	return held_input_tail - held_input_head;
}

void
held_input_done(void)
{
	held_input_init();
	if (held_input_touched > HELD_INPUT_KEPT)
		memory_give_back(held_input_memory, sizeof(held_input_memory));
	held_input_touched = 0;
}

size_t
held_input_append(const void *bytes, size_t len)
{
	size_t room = sizeof(held_input_memory) - held_input_len();

	if (len > room)
		len = room;
	if (held_input_tail + len > sizeof(held_input_memory)) {
		memmove(held_input_memory, held_input_memory + held_input_head, held_input_len());
		held_input_tail -= held_input_head;
		held_input_head = 0;
	}
	memcpy(held_input_memory + held_input_tail, bytes, len);
	held_input_tail += len;
	if (held_input_tail > held_input_touched)
		held_input_touched = held_input_tail;
	return len;
}

const uint8_t *
held_input_bytes(void)
{
	return held_input_memory + held_input_head;
}

void
held_input_drop(size_t len)
{
	held_input_head += len;
	if (held_input_head == held_input_tail)
		held_input_head = held_input_tail = 0;
}
