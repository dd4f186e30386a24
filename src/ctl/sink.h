/*
 * sink: standard output or error, written to without ever waiting for whoever
 * reads it, and without making it non-blocking for others that have it open.
 */
#ifndef CTL_SINK_H
#define CTL_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct sink {
	int fd; /* to poll(2) for POLLOUT */
	bool is_socket;
	bool is_owned; /* opened anew, and non-blocking */
	bool may_block;
};

/* Makes a sink of FD, which stays the caller's and open. */
void sink_open(struct sink *ret, int fd);

/* Frees what sink_open() took. */
void sink_close(struct sink *sink);

/* Writes as much of LEN bytes as is taken now. Returns how much, or -errno: -EAGAIN
 * if poll(2) has to say first that it can be written to. Where nobody reads any
 * more SIGPIPE ends this program, unless it is ignored (-EPIPE). */
ssize_t sink_write(const struct sink *sink, const uint8_t *data, size_t len);

#endif
