/*
 * resend: the input of a durable session that its host still has to send, and that which it
 * may have to send again: on the way to the program bytes are lost with the connection,
 * and only an ATTACH says how far they came.
 * Pure: it opens nothing and sends nothing.
 *
 * Between a send(2) of ours and the agent's taking the bytes as the program's they are in
 * socket buffers, a VMM's, the worker's buffer and its slot's area: with the defaults of
 * Linux well under 1 MiB. RESEND_KEEP of what was sent is kept; what is older is taken
 * to have arrived. Where it has not, resend_rewind() says so.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CLIENT_RESEND_H
#define CLIENT_RESEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RESEND_KEEP (4ul * 1024 * 1024)
#define RESEND_UNSENT_MAX (128ul * 1024) /* of what waits to be sent the first time */

/* Zero-initialised it is ready for use. Bytes are counted from the first that was put in. */
struct resend {
	uint8_t *ring; /* NULL while nothing was put in */
	uint64_t next; /* the first that is to be sent */
	uint64_t sent; /* behind the last that was ever sent */
	uint64_t end;  /* behind the last that was put in */
	uint64_t base; /* what the agent counts more, as other hosts have sent it */
	bool has_eof;  /* nothing comes behind END */
	bool eof_is_sent;
};

/* Frees what it holds. */
void resend_done(struct resend *resend);

/* How much may be put in. */
size_t resend_room(const struct resend *resend);

/* Puts LEN bytes in, for which there is room. Returns 0 or -ENOMEM. */
int resend_put(struct resend *resend, const uint8_t *data, size_t len);

/* Where the next bytes may be put, *RET_ROOM of them at most, of which END is then told; NULL: no
 * memory. */
uint8_t *resend_place(struct resend *resend, size_t *ret_room);

/* Copies up to MAX of the next bytes to be sent to DATA; returns how many. They count as
 * sent from then on. */
size_t resend_take(struct resend *resend, uint8_t *data, size_t max);

/* Whether there are bytes to be sent; and whether the end is what is due. */
bool resend_has_bytes(const struct resend *resend);
bool resend_has_end(const struct resend *resend);

/* The agent has taken STDIN_BYTES so far: what is behind them is sent anew. Returns 0; or
 * -ERANGE if that is not kept any more, with how much is missing in *RET_MISSING. Where the
 * agent has taken more than we have sent, the rest is another host's. The end is sent anew
 * where it comes behind bytes that are. */
int resend_rewind(struct resend *resend, uint64_t stdin_bytes, uint64_t *ret_missing);

#endif
