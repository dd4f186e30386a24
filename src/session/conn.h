/*
 * conn: the connection of one session. Frames are read through one buffer of
 * fixed size, so that a payload of any announced length is a row of pieces;
 * and are sent whole, with the slot told of it (conn_note.h), so that the supervisor
 * knows what it may still say if this worker dies. Not here: what frames mean.
 *
 * Two ways to use it:
 *   - one after the other (files, control): conn_next_frame(),
 *     conn_read_payload(), conn_send(). They wait, with a deadline.
 *   - in a loop that waits for several things at once (relay.c): conn_fill(),
 *     conn_parse_header(), conn_take(), conn_push(). They never wait.
 *
 * A worker has one session at a time, and so one connection: the two buffers are not in
 * struct conn but the worker's, which another session finds as the last one left them.
 * Its members are conn's own: tests/includes holds that.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_CONN_H
#define SESSION_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "platform/io_error.h"
#include "protocol/frame_reader.h"
#include "shared/scoreboard.h"

/* Payloads that are sent stand at this offset of their buffer, aligned for the
 * kernel's copy; the header stands right in front. */
#define CONN_PAYLOAD_OFFSET 64

/* What one send(2) takes whole or not at all.
 *
 * A Unix socket takes up to 32 KiB as one message, unix_stream_sendmsg(), however
 * much stands before it; less where its buffer is smaller than is usual.
 * A vsock takes what its peer has given credit for, and may take a part; there is no
 * way to ask for the credit. But no host that is known begins with less than 64 KiB,
 * so that the first 32 KiB of a connection fit into it (virtio_transport_send_pkt_info()
 * makes one packet of up to 64 KiB). */
#define CONN_ROOM 32768

struct conn {
	int fd; /* non-blocking, owned */
	struct slot *slot;
	const struct scoreboard *board; /* NULL: nobody else waits for this worker */
	int stall_ms;	 /* a host that does not move for this long is given up; -1: never */
	bool is_patient; /* this one may pause for as long as it likes */
	bool is_behind;	 /* the last recv(2) took much at once: there may be more */
	struct frame_header frame; /* that is being read */
	struct frame_reader rx;
	size_t tx_head; /* the frame being pushed: [tx_head, tx_tail) of the buffer */
	size_t tx_tail;
	size_t tx_left;	      /* bytes of the frame being sent, not yet gone */
	size_t tx_len;	      /* of its payload */
	size_t tx_most;	      /* of any frame's, or of frames that went together */
	bool tx_begun;	      /* some of it has gone */
	bool tx_is_whole;     /* the send under way takes all of it or nothing */
	bool tx_last;	      /* it is the last frame of the connection */
	bool is_broken;	      /* a send has failed: nothing more can be said */
	bool has_room;	      /* it was seen, and nothing has been sent since */
	bool room_is_renewed; /* ROOM is for each send, and not for all together */
	bool saw_eof_frame;   /* of type EOF: it ends a quick linger */
	size_t room;	      /* a send of this much is taken whole or not at all */
	size_t send_max;      /* no send asks for more: the kernel lacks memory */
	struct io_lack lack;  /* of memory, while the kernel has none for the connection */
	uint64_t waited_ms;   /* when sending last had to wait; 0: never */
};

/* Starts on FD, a connected non-blocking stream socket, which conn_close()
 * closes. SLOT is told of phases and bytes; where no worker of BOARD is idle, less time
 * is given to the host at the end (NULL: it does not matter). Both are borrowed. A wait
 * for the host, or for memory, lasts at most STALL_MS (-1: no limit). Until
 * conn_set_room() the socket is taken for a vsock, of which less is known. */
void conn_init(
    struct conn *conn, int fd, struct slot *slot, const struct scoreboard *board, int stall_ms);

/* From here on no wait for the host has a limit. */
void conn_be_patient(struct conn *conn);

/* The socket, for poll(2). */
static inline int
conn_fd(const struct conn *conn)
{
	return conn->fd;
}

/* Whether a part of a frame of ours has gone, and the rest of it is still to go. */
static inline bool
conn_is_in_frame(const struct conn *conn)
{
	return conn->tx_begun && conn->tx_left > 0 && !conn->is_broken;
}

/* The STALL_MS that it was given. */
static inline int
conn_stall_ms(const struct conn *conn)
{
	return conn->stall_ms;
}

/* Each send of up to ROOM bytes is taken whole or not at all. */
void conn_set_room(struct conn *conn, size_t room);

/* Whether FILE_ACK or FILE_ERR will be taken whole or not at all, so that a host is told if this
 * worker dies over it. */
bool conn_has_answer_room(const struct conn *conn);

/* Closes the socket. Nothing is sent, and nothing is read. */
void conn_close(struct conn *conn);

/* The host has gone, and what it sent is of no use any more: closes the socket, and its
 * duplicate in the queue DUPLICATES_FD (-1: none), by one that shows in each call that nobody
 * is at the other end. A machine that was restored gives out the same ports again, and as long
 * as the guest's end of a broken connection is open, the kernel refuses the new one for it. */
void conn_lose_host(const struct conn *conn, int duplicates_fd);

/* ---- waiting calls ----------------------------------------------------
 *
 * DEADLINE_MS is a time of CLOCK_MONOTONIC, or CLOCK_NEVER. They return
 *   -EPIPE      the host has gone (orderly or not, between frames or in one), or the
 *               kernel has had no memory for the connection for the time of LACK
 *   -ETIMEDOUT  the deadline passed
 *   -ECANCELED  this worker was told to stop (stop.h)
 *   -EMSGSIZE   a header announced more than VMM_GUEST_FRAME_MAX
 */

/* Waits until there is something to read, which is left there; -EINTR: this worker was woken to
 * look at its slot. */
int conn_await(struct conn *conn, uint64_t deadline_ms);

/* Reads the next header, after skipping what is left of the frame before it. Where it
 * fails, what has come of the header stands in the buffer still. */
int conn_next_frame(struct conn *conn, uint64_t deadline_ms, struct frame_header *ret);

/* The next piece of the frame's payload, borrowed until the next call that
 * reads. Returns its length, or 0 when the payload has been read. */
ssize_t conn_read_payload(struct conn *conn, uint64_t deadline_ms, const uint8_t **ret);

/* The same, up to MAX bytes, and as conn_take_joined() takes them. Returns 0 when the payload
 * has been read, and no frame that could be joined to it has come. */
ssize_t conn_read_joined(struct conn *conn, uint64_t deadline_ms, size_t max, const uint8_t **ret);

/* Reads the rest of the payload into one piece of memory, for payloads of at
 * most VMM_GUEST_JSON_MAX bytes (-EMSGSIZE otherwise): borrowed until the next
 * call that reads. Returns its length. */
ssize_t conn_read_whole(struct conn *conn, uint64_t deadline_ms, const uint8_t **ret);

/* For what comes before frames (a handshake): the bytes that stand in the buffer,
 * borrowed; conn_receive() waits for more of them, conn_skip() takes the first
 * LEN away, conn_send_raw() answers with bytes that are no frame. */
size_t conn_peek(const struct conn *conn, const uint8_t **ret);
int conn_receive(struct conn *conn, uint64_t deadline_ms);
void conn_skip(struct conn *conn, size_t len);
int conn_send_raw(struct conn *conn, const void *bytes, size_t len);

/* Room for a payload of VMM_GUEST_DATA_MAX bytes, aligned, for conn_send() to
 * send without a copy. Borrowed; good until the next conn_send() returns. */
uint8_t *conn_tx_buffer(void);

/* For conn_close(): gives back to the kernel what a large frame has left in that memory. */
void conn_tx_give_back(const struct conn *conn);

/* Sends one frame of at most VMM_GUEST_DATA_MAX bytes, or of any legal length
 * where PAYLOAD is not conn_tx_buffer() (it is then sent without a copy too). */
int conn_send(struct conn *conn, uint8_t type, const void *payload, size_t len);

/* Sends COUNT whole frames, headers and all, that stand in the LEN bytes of FRAMES, in
 * one send if they have room. Waits for the host without a limit. Returns 0; -EPIPE; or
 * -ECANCELED if this worker was told to stop: then no frame has gone out by half. */
int conn_send_frames(struct conn *conn, const uint8_t *frames, size_t len, size_t count);

/* The same as conn_send() does it: waits for the host up to the stall timeout, and for
 * nobody who would have this worker stop. Returns 0 or -EPIPE. */
int conn_send_batch(struct conn *conn, const uint8_t *frames, size_t len, size_t count);

/* Whether the connection has room for a small frame now; and the wait, however long, until
 * it has (which was seen, if nothing has been sent since): 0, or -EPIPE if the host has gone. */
bool conn_has_room(struct conn *conn);
int conn_await_room(struct conn *conn);

/* The same for the last frame of the connection (EXIT, FILE_ERR, …). */
int conn_send_last(struct conn *conn, uint8_t type, const void *payload, size_t len);

/* Sends one frame with the next LEN bytes of FILE_FD, at most VMM_GUEST_DATA_MAX,
 * without a copy where the kernel can: sendfile(2). Where the file ends or fails
 * before that, zeros make the frame whole, and *RET_FILE_ERROR is -ENODATA or
 * -errno of read(2), else 0. Uses conn_tx_buffer(). */
int conn_send_file(struct conn *conn, uint8_t type, int file_fd, size_t len, int *ret_file_error);

/* Reads and drops what the host still sends, for at most MAX_MS. Returns when
 * the host has closed, or time is up, or at a frame of type UNTIL if that is
 * not negative; and after 1 s where no worker is idle, since others wait.
 * For a refused upload: the host must see the reply, not a reset. */
void conn_discard(struct conn *conn, int max_ms, int until);

/* Shuts down the sending side: nothing more will be said. */
void conn_shut_down(struct conn *conn);

/* The end of a connection, after its last frame: "Closing" in the contract.
 * Shuts down the sending side, reads and drops for 100 ms (an EOF frame ends
 * that), or for 10 s where a write of the last second had to wait; closes. */
void conn_finish(struct conn *conn);

/* The same, whatever the connection has been like: waits at most MAX_MS for the
 * host to close, and closes. */
void conn_hang_up(struct conn *conn, int max_ms);

/* ---- calls that never wait -------------------------------------------- */

/* Receives once into the free space of the buffer. Returns the number of bytes,
 * 0 if the buffer is full, -EAGAIN if there is nothing, -EPIPE if the host has
 * closed or the connection is broken. */
ssize_t conn_fill(struct conn *conn);

/* Takes a header out of the buffer, when the frame before it has been taken
 * whole. Returns 0, -EAGAIN if it is not there yet, -EMSGSIZE. */
int conn_parse_header(struct conn *conn, struct frame_header *ret);

/* Takes up to MAX bytes of the payload that stand in the buffer; borrowed until
 * the next conn_fill(). Returns how many, 0 if there are none. */
size_t conn_take(struct conn *conn, size_t max, const uint8_t **ret);

/* The same, and the payloads of the frames of the same type behind it, as far as they have
 * come, as one piece: whoever writes small frames does so by one call for many. A frame of
 * which more is announced than is left of MAX is not begun. */
size_t conn_take_joined(struct conn *conn, size_t max, const uint8_t **ret);

/* Whether payload of the current frame is still to come. */
static inline bool
conn_in_payload(const struct conn *conn)
{
	return conn->rx.payload_left > 0;
}

/* Whether an upload of at most one frame of FILE_DATA has come whole, with its DONE, and is next,
 * behind a frame of type REQUEST unless that is 0: it is read with no receiving, and can be read
 * again. */
bool conn_has_upload(const struct conn *conn, uint8_t request);

/* Where the reading is, between two frames; until the next conn_fill() one can go back there. */
struct conn_mark {
	size_t head;
	uint64_t bytes_in;
};
struct conn_mark conn_tell(const struct conn *conn);
void conn_go_back(struct conn *conn, struct conn_mark mark);

/* Begins to push a frame whose LEN payload bytes stand in conn_tx_buffer(), which
 * must be left alone until conn_is_pushing() is false. */
void conn_begin_push(struct conn *conn, uint8_t type, size_t len, bool last);

/* Sends as much of it as the host takes. Returns 0 when all has gone, -EAGAIN
 * if the host must be waited for (POLLOUT), -EPIPE. */
int conn_push(struct conn *conn);

static inline bool
conn_is_pushing(const struct conn *conn)
{
	return conn->tx_head < conn->tx_tail;
}

/* The parts of conn_finish() for a worker that goes on without the connection. Shuts down
 * the sending side, and returns how many ms the host has to close (0: none). Meanwhile
 * conn_drop(), given those, drops what comes, and returns whether the host has closed, or
 * sent the frame that ends so quick a linger. Then conn_close(). */
int conn_begin_finish(struct conn *conn);
bool conn_drop(struct conn *conn, int linger_ms);

/* Takes what has come of a payload of which the first SIZE bytes count, and puts of these into
 * HEAD what is not there yet; *LEN are there. */
void conn_take_head(struct conn *conn, uint8_t *head, size_t size, size_t *len);

/* The host has gone: what is being pushed is not sent any more. */
void conn_stop_pushing(struct conn *conn);

/* The stream makes no sense any more: what is there, and what still comes, is payload of
 * no frame. */
void conn_lose_track(struct conn *conn);

#endif
