/*
 * output: standard output or error, written to without ever waiting for its
 * reader, and without making it non-blocking for others that have it open.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_OUTPUT_H
#define CTL_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct output {
	int fd; /* to poll(2) for POLLOUT */
	bool is_socket;
	bool is_owned; /* opened anew, and non-blocking */
	bool may_block;
};

/* Makes an output of FD, which stays the caller's and open. */
void output_open(struct output *ret, int fd);

/* Frees what output_open() took. */
void output_close(struct output *output);

/* Writes as much of LEN bytes as is taken now. Returns how much, or -errno: -EAGAIN
 * if poll(2) has to say first that it can be written to. Where nobody reads any
 * more SIGPIPE ends this program, unless it is ignored (-EPIPE). */
ssize_t output_write(const struct output *output, const uint8_t *data, size_t len);

#endif
