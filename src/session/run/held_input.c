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

static uint8_t held_input_memory[VMM_GUEST_STDIN_HELD_MAX];
static size_t held_input_touched;

void
held_input_init(struct held_input *held)
{
	held->head = held->tail = 0;
}

void
held_input_done(struct held_input *held)
{
	held_input_init(held);
	if (held_input_touched > HELD_INPUT_KEPT)
		memory_give_back(held_input_memory, sizeof(held_input_memory));
	held_input_touched = 0;
}

size_t
held_input_append(struct held_input *held, const void *bytes, size_t len)
{
	size_t room = sizeof(held_input_memory) - held_input_len(held);

	if (len > room)
		len = room;
	if (held->tail + len > sizeof(held_input_memory)) {
		memmove(held_input_memory, held_input_memory + held->head, held_input_len(held));
		held->tail -= held->head;
		held->head = 0;
	}
	memcpy(held_input_memory + held->tail, bytes, len);
	held->tail += len;
	if (held->tail > held_input_touched)
		held_input_touched = held->tail;
	return len;
}

const uint8_t *
held_input_bytes(const struct held_input *held)
{
	return held_input_memory + held->head;
}

void
held_input_drop(struct held_input *held, size_t len)
{
	held->head += len;
	if (held->head == held->tail)
		held->head = held->tail = 0;
}
