/*
 * held_input: standard input that the host has sent and the program has not yet
 * taken, up to VMM_GUEST_STDIN_HELD_MAX bytes, first in first out.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_RUN_HELD_INPUT_H
#define SESSION_RUN_HELD_INPUT_H

#include <stddef.h>
#include <stdint.h>

struct held_input {
	size_t head;
	size_t tail;
};

/* Begins empty. A worker has one at a time: the memory is the worker's. */
void held_input_init(struct held_input *held);

/* Gives memory back that a session with much input has touched. */
void held_input_done(struct held_input *held);

static inline size_t
held_input_len(const struct held_input *held)
{
	return held->tail - held->head;
}

/* Appends up to LEN bytes; returns how many had room. */
size_t held_input_append(struct held_input *held, const void *bytes, size_t len);

/* The bytes that are to go first, all in one piece; borrowed. */
const uint8_t *held_input_bytes(const struct held_input *held);

/* Drops the first LEN bytes. */
void held_input_drop(struct held_input *held, size_t len);

#endif
