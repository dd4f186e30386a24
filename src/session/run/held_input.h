/*
 * held_input: standard input that the host has sent and the program has not yet
 * taken, up to VMM_GUEST_STDIN_HELD_MAX bytes, first in first out. A worker has one.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_RUN_HELD_INPUT_H
#define SESSION_RUN_HELD_INPUT_H

#include <stddef.h>
#include <stdint.h>

/* Begins empty. */
void held_input_init(void);

/* Gives memory back that a session with much input has touched. */
void held_input_done(void);

size_t held_input_len(void);

/* Appends up to LEN bytes; returns how many had room. */
size_t held_input_append(const void *bytes, size_t len);

/* The bytes that are to go first, all in one piece; borrowed. */
const uint8_t *held_input_bytes(void);

/* Drops the first LEN bytes. */
void held_input_drop(size_t len);

#endif
