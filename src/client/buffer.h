/*
 * buffer: bytes that grow up to a limit, with a NUL behind them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CLIENT_BUFFER_H
#define CLIENT_BUFFER_H

#include <stddef.h>

/* Zero-initialised it is empty, and has no memory. */
struct buffer {
	char *data; /* NULL while there never was a byte, nor buffer_add() of none */
	size_t len;
	size_t size;
};

/* Adds LEN bytes. It grows by what comes, never by what is announced. Returns 0; -EMSGSIZE
 * where it would have more than MAX then; or -ENOMEM. */
int buffer_add(struct buffer *buffer, const void *data, size_t len, size_t max);

/* Empties it and frees its memory. */
void buffer_done(struct buffer *buffer);

#endif
