/*
 * client: one connection to the agent: found, made, its handshake done; frames go
 * out and come in. Not here: what the frames mean.
 *
 * Nothing here ends the program, writes to its streams, or keeps anything of its own:
 * what goes wrong is returned, as -errno and as a text for a person.
 *
 * A connection is used by one thread; many threads may share a target. Every wait also
 * ends when the target's CANCEL_FD can be read, with -ECANCELED, at the connection's
 * deadline, with -ETIMEDOUT, and with -ETIME where the agent does not begin to answer within
 * the target's ANSWER_MS.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_CORE_CLIENT_H
#define CTL_CORE_CLIENT_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "platform/io_error.h"
#include "protocol/frame_reader.h"

/* How long an agent may take to answer a connection. */
#define CLIENT_CONNECT_MS 10000

/* After this time without a sign of life it is told, once a connection. */
#define CLIENT_QUIET_MS 5000

/* How long in a row the kernel may lack memory before that is an error. */
#define CLIENT_LACK_MS 60000

/* Frames with a payload of at most this are given out whole; the agent puts no more
 * into a frame of data. */
#define CLIENT_WHOLE_MAX VMM_GUEST_DATA_MAX

/* Two of the frames that are given out whole: moving what is left of one to the
 * front of the buffer is then rare. */
#define CLIENT_BUFFER_LEN                                                                          \
	(FRAME_READER_PAYLOAD_OFFSET + 2 * (CLIENT_WHOLE_MAX + VMM_GUEST_HEADER_LEN))

/* What went wrong, for a person: what was tried, and what can be done. */
struct client_error {
	char text[512];
};

/* A frame that goes out or has come in, for a trace: its first bytes, or all of it. */
struct client_frame {
	bool is_out;
	uint8_t type;
	size_t len; /* of the whole payload */
	const uint8_t *data;
	size_t data_len;
};

struct client;

/* Where the agent is, and what all connections to it share, which it outlives. */
struct client_target {
	const char *address; /* unix:PATH or vsock:CID; "": none */
	const char *hint;    /* what the text of that error ends with */
	int cancel_fd;	     /* -1: nothing cancels */
	/* Told each frame, from any thread; NULL: nobody is. */
	void (*trace)(const struct client_frame *frame);
	/* Called by any thread that waits, each TICK_MS; NULL: nothing is. */
	void (*tick)(void);
	int tick_ms;
	/* Called by any thread when a connection is made, and for CLIENT_QUIET_MS nothing came
	 * of the agent's answer, nor could anything be sent; NULL: nothing is. */
	void (*quiet)(void);
	int answer_ms; /* how long that may last at most; 0: for ever */
};

struct client {
	const struct client_target *target;
	int fd;
	uint32_t port;
	uint64_t quiet_ms; /* since when nothing came of an answer or went; 0: that is no matter */
	bool quiet_is_told;
	uint64_t deadline_ms;	    /* of every wait, CLOCK_MONOTONIC; CLOCK_NEVER at first */
	struct io_lack lack;	    /* of the kernel's memory */
	uint64_t short_until_ms;    /* pieces are small until then; 0: they are not */
	struct frame_reader reader; /* its buffer is the client's, of malloc(3) */
	struct frame_header frame;  /* the one that is being given out */
};

#define CLIENT_INIT                                                                                \
	{                                                                                          \
		.fd = -1, .lack.max_ms = CLIENT_LACK_MS                                            \
	}

/* A part of a frame's payload, or all of it; DATA is good until the next call. */
struct client_piece {
	uint8_t type;
	bool first;
	bool last;
	const uint8_t *data;
	size_t len;
};

/* Puts the text of FORMAT into ERROR. */
void client_fail(struct client_error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Whether there is an address, and it can be understood; as client_open() says it. */
int client_check_target(const struct client_target *target, struct client_error *error);

/* Connects to PORT of the agent within TIMEOUT_MS. Returns 0 with *RET for
 * client_close(), or -errno with ERROR filled in: -EINVAL if there is no address,
 * or none that can be understood; -ECONNREFUSED where nobody listens. */
int client_open(struct client *ret, const struct client_target *target, uint32_t port,
    int timeout_ms, struct client_error *error);

/* For who waits by a poll(2) of his own: when to call client_check_quiet(), CLOCK_NEVER: no
 * need. That tells the target what it wants to know, and returns 0, or -ETIME where the agent
 * has not answered within the target's ANSWER_MS. */
uint64_t client_quiet_due_ms(const struct client *client);
int client_check_quiet(struct client *client);

/* The wait that follows is not for the agent, or its answer may take any time: nothing is told,
 * and nothing is over, until client_expect_answer(). */
void client_expect_nothing(struct client *client);
void client_expect_answer(struct client *client);

/* Closes it. */
void client_close(struct client *client);
#define CLEANUP_CLIENT __attribute__((cleanup(client_close)))

/* Whether R is the -errno of a connection whose other end has gone: what the agent said
 * before is still to be read. */
bool client_is_gone(int r);

/* One send(2) or recv(2) on the socket FD, the connection's or the one that it is tied
 * to, that does not block. Where the kernel lacks memory it pauses for a moment, and
 * asks for less the next time. Returns what went or came; -EAGAIN: again, when poll(2)
 * says so; or -errno: -ENOMEM or -ENOBUFS after a minute without any. */
ssize_t client_try_send(struct client *client, int fd, const void *data, size_t len);
ssize_t client_try_recv(struct client *client, int fd, void *data, size_t len);

/* Sends a frame whole, or bytes. Returns 0, or -errno of client_try_send() or
 * client_wait(). */
int client_send(struct client *client, uint8_t type, const void *payload, size_t len);
int client_send_bytes(struct client *client, const void *data, size_t len);

/* Has a frame traced that goes out by other ways: its header and payload, LEN bytes. */
void client_trace_out(const struct client *client, const uint8_t *bytes, size_t len);

/* One recv(2) that does not block. Returns 0, -EAGAIN, -ENODATA when the agent has
 * closed, whether or not it had read all that was sent to it, or -errno. */
int client_fill(struct client *client);

/* The next piece out of what was received. Returns 0, -EAGAIN if more has to be
 * received first, or -EMSGSIZE for a header that no agent sends. */
int client_take(struct client *client, struct client_piece *ret);

/* As client_take(), and waits for it. Returns also what client_fill() does. */
int client_receive(struct client *client, struct client_piece *ret);

/* A frame's whole payload in a new block that the caller frees, a NUL behind it.
 * Returns 0, or what client_receive() does, or -ENOMEM. */
int client_receive_whole(
    struct client *client, uint8_t *ret_type, char **ret_text, size_t *ret_len);

/* Waits until the connection can be read from or written to, as EVENTS of poll(2)
 * say. Returns the events that came, -ECANCELED, -ETIMEDOUT, or -ETIME (client_check_quiet()). */
int client_wait(struct client *client, int events);

/* poll(2) until there is something, with the connection's deadline and the target's tick.
 * Returns 0, -ETIMEDOUT, -ETIME, or -errno. */
int client_poll(struct client *client, struct pollfd *polls, nfds_t count);

/* What to say where an answer did not come because of -ERROR of one of these. */
void client_explain(struct client *client, int error, struct client_error *ret);

#endif
