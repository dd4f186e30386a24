/*
 * guest_ahead: requests of port 53 with `more`: one behind the other on one connection, sent
 * ahead of their answers, which come in order. Not here: which request an answer belongs to.
 *
 * What is put is kept in a buffer until guest_ahead_send(). Who sends while answers wait to
 * be read, and reads while requests wait to be sent, can't be blocked for ever by an agent
 * that does the same.
 *
 * All return 0, or -errno as ctl/core/guest_file.h says.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_CORE_GUEST_AHEAD_H
#define CTL_CORE_GUEST_AHEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ctl/core/client.h"
#include "protocol/file_request.h"

/* So much is worth a send(2). */
#define GUEST_AHEAD_SEND (64 * 1024)

struct guest_ahead {
	struct client client; /* not open: the next guest_ahead_open() makes a connection */
	uint64_t answers;     /* that came on it */
	bool is_deaf;	      /* it takes no more; what it said before is still to be read */
	uint64_t put;	      /* bytes that were put since it was opened */
	size_t head;	      /* what was put and not yet sent: [head, len) */
	size_t len;
	size_t size;
	uint8_t *buffer;
};

#define GUEST_AHEAD_INIT                                                                           \
	{                                                                                          \
		.client = CLIENT_INIT                                                              \
	}

/* Frees it, and closes its connection. */
void guest_ahead_done(struct guest_ahead *ahead);

/* Makes a connection where there is none. */
int guest_ahead_open(
    struct guest_ahead *ahead, const struct client_target *target, struct client_error *error);

/* Closes the connection, and drops what was not sent. */
void guest_ahead_close(struct guest_ahead *ahead);

/* How much was put and not sent; and how many bytes of the connection were. */
static inline size_t
guest_ahead_unsent(const struct guest_ahead *ahead)
{
	return ahead->len - ahead->head;
}

static inline uint64_t
guest_ahead_sent(const struct guest_ahead *ahead)
{
	return ahead->put - guest_ahead_unsent(ahead);
}

/* Where the next LEN bytes of frames go, with their headers; NULL: no memory. Good until the
 * next guest_ahead_send() or guest_ahead_room(). */
uint8_t *guest_ahead_room(struct guest_ahead *ahead, size_t len);

/* Puts a frame; there is room for it. PAYLOAD may stand where it goes already, or behind that. */
void guest_ahead_put(struct guest_ahead *ahead, uint8_t type, const void *payload, size_t len);

/* Sends what the connection takes. Returns 0 when all was sent, or is never to be as the
 * agent has closed; -EAGAIN; or -errno of client_try_send(). */
int guest_ahead_send(struct guest_ahead *ahead);

/* Waits until something can be read, or what is not sent can be. Returns 0 or -errno of
 * client_wait(). */
int guest_ahead_wait(struct guest_ahead *ahead);

/* The next answer, ACK or FILE_ERR (or its first piece), out of what client_fill() has
 * received. Returns 0, -EAGAIN, or -EMSGSIZE for what is not an answer. */
int guest_ahead_take(struct guest_ahead *ahead, struct client_piece *ret);

/* Makes a request of TYPE that is answered by ACK, while no other is under way. */
int guest_ahead_ask(struct guest_ahead *ahead, const struct client_target *target, uint8_t type,
    const struct file_request *request, struct client_error *error);

#endif
