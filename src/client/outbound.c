/*
 * outbound: what goes out, in which order, and how much of it waits.
 *
 * All that waits is a few frames in one block. Input is taken only as far as there is room in
 * it; signals, sizes and ends are kept beside it until there is, and so never wait behind
 * more than that. Of a durable session input is kept in its ring, as it may have to be
 * sent again.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/handle.h"
#include "platform/clock.h"
#include "protocol/file_entry.h"
#include "protocol/frame.h"
#include "protocol/handshake.h"

#define OUTBOUND_SIGNAL_MAX 64

/* Where in the block the payload of a frame stands that is read from a file. */
#define OUTBOUND_PAYLOAD_OFFSET 64

/* ---- the block ------------------------------------------------------------- */

void
outbound_clear(struct vmm_guest *guest)
{
	guest->out.sent = 0;
	guest->out.len = 0;
}

bool
outbound_is_empty(const struct vmm_guest *guest)
{
	return guest->out.sent == guest->out.len;
}

/* Makes room for LEN bytes. */
static int
outbound_reserve(struct outbound *out, size_t len)
{
	size_t size = out->len + len < HANDLE_SEND_MAX ? HANDLE_SEND_MAX : out->len + len;
	uint8_t *grown;

	if (out->sent == out->len) {
		out->sent = 0;
		out->len = 0;
	}
	if (out->size - out->len >= len)
		return 0;
	grown = realloc(out->data, size);
	if (grown == NULL)
		return -ENOMEM;
	out->data = grown;
	out->size = size;
	return 0;
}

static int
outbound_put_bytes(struct outbound *out, const void *data, size_t len)
{
	int r = outbound_reserve(out, len);

	if (r == 0)
		memcpy(out->data + out->len, data, len);
	if (r == 0)
		out->len += len;
	return r;
}

/* The frame at BYTES, header and all, is to go out. */
static void
outbound_observe(struct vmm_guest *guest, const void *bytes, size_t len)
{
	const uint8_t *frame = bytes;
	const struct frame_header header = { .type = frame[0],
		.len = (uint32_t)(len - VMM_GUEST_HEADER_LEN) };

	handle_observe(guest, true, &header, frame + VMM_GUEST_HEADER_LEN, header.len);
}

int
outbound_put(struct vmm_guest *guest, uint8_t type, const void *payload, size_t len)
{
	struct outbound *out = &guest->out;
	int r = outbound_reserve(out, VMM_GUEST_HEADER_LEN + len);

	if (r < 0)
		return r;
	frame_header_format(out->data + out->len, type, (uint32_t)len);
	if (len > 0)
		memcpy(out->data + out->len + VMM_GUEST_HEADER_LEN, payload, len);
	outbound_observe(guest, out->data + out->len, VMM_GUEST_HEADER_LEN + len);
	out->len += VMM_GUEST_HEADER_LEN + len;
	return 0;
}

static bool
outbound_is_upload(const struct vmm_guest *guest)
{
	return guest->last.operation->kind == OPERATION_FILE;
}

size_t
outbound_space(const struct vmm_guest *guest)
{
	const struct outbound *out = &guest->out;
	size_t max = outbound_is_upload(guest) ? HANDLE_UPLOAD_MAX : HANDLE_SEND_MAX;
	size_t used = out->sent == out->len ? 0 : out->len;
	size_t taken = used + HANDLE_SPARE + VMM_GUEST_HEADER_LEN;

	return taken < max ? max - taken : 0;
}

int
outbound_put_eof(struct vmm_guest *guest)
{
	const uint8_t type = outbound_is_upload(guest) ? VMM_GUEST_FILE_DONE : VMM_GUEST_EOF;
	bool is_due = guest->out.eof_is_due;

	guest->out.eof_is_due = false;
	return is_due ? outbound_put(guest, type, NULL, 0) : 0;
}

/* The operation's first frame. */
static int
outbound_put_request(struct vmm_guest *guest)
{
	int r = outbound_put_bytes(&guest->out, guest->first.data, guest->first.len);

	if (r == 0)
		outbound_observe(guest, guest->first.data, guest->first.len);
	return r;
}

int
outbound_begin(struct vmm_guest *guest)
{
	char line[HANDSHAKE_LINE_MAX];
	struct outbound *out = &guest->out;
	size_t len = handshake_format_connect(line, sizeof(line), vmm_guest_port(guest));
	int r = 0;

	outbound_clear(guest);
	/* Of a connection that came to nothing all is said again; input it has had none. */
	out->eof_is_due = out->has_eof && !guest->is_durable;
	if (guest->state == HANDLE_SHAKES)
		r = outbound_put_bytes(out, line, len);
	if (r < 0 || (guest->state == HANDLE_SHAKES && !guest->sends_ahead))
		return r;
	r = outbound_put_request(guest);
	return r < 0 ? r : outbound_put_eof(guest);
}

/* ---- what is due ----------------------------------------------------------- */

static bool
outbound_has_input(const struct vmm_guest *guest)
{
	return guest->operation != NULL && (guest->last.operation->flags & OPERATION_INPUT) != 0;
}

/* Signals and the size go first. */
static int
outbound_put_signals(struct vmm_guest *guest)
{
	struct outbound *out = &guest->out;
	uint8_t payload[VMM_GUEST_OUTPUT_ACK_LEN];
	int r = 0;

	for (size_t i = 0; i < out->signal_count && r == 0; i++) {
		frame_signal_format(payload, out->signals[i]);
		r = outbound_put(guest, VMM_GUEST_SIGNAL, payload, VMM_GUEST_SIGNAL_LEN);
	}
	out->signal_count = 0;
	if (r == 0 && out->resize_is_due) {
		frame_resize_format(payload, out->size_due);
		r = outbound_put(guest, VMM_GUEST_RESIZE, payload, VMM_GUEST_RESIZE_LEN);
	}
	out->resize_is_due = false;
	return r;
}

/* All output below the session's offset was given out, and the caller is done with it but for the
 * last; or he says himself what has arrived. What was not sent on this connection yet can't be
 * acknowledged on it. */
static int
outbound_put_ack(struct vmm_guest *guest)
{
	struct durable *session = &guest->session;
	uint64_t shown = session->offset - guest->shown_later;
	uint8_t payload[VMM_GUEST_OUTPUT_ACK_LEN];
	bool is_due = shown >= session->ack_due;

	if (session->acks_by_hand)
		is_due = session->ack_is_due && session->offset >= session->acked;
	if (!session->holds || !is_due)
		return 0;
	session->ack_is_due = false;
	session->ack_due = shown + DURABLE_ACK_EVERY;
	frame_output_ack_format(payload, session->acks_by_hand ? session->acked : shown);
	return outbound_put(guest, VMM_GUEST_OUTPUT_ACK, payload, sizeof(payload));
}

/* Of a durable session: as much of its input as there is room for, and the end. */
static int
outbound_put_kept(struct vmm_guest *guest)
{
	struct durable *session = &guest->session;
	size_t space = outbound_space(guest);
	uint8_t *place;
	size_t len;
	int r;

	if (!session->wants_input || session->stdin_closed)
		return 0;
	if (resend_has_bytes(&session->input) && space > 0) {
		r = outbound_reserve(&guest->out, VMM_GUEST_HEADER_LEN + space);
		if (r < 0)
			return r;
		place = guest->out.data + guest->out.len;
		len = resend_take(&session->input, place + VMM_GUEST_HEADER_LEN, space);
		frame_header_format(place, VMM_GUEST_STDIN, (uint32_t)len);
		outbound_observe(guest, place, VMM_GUEST_HEADER_LEN + len);
		guest->out.len += VMM_GUEST_HEADER_LEN + len;
	}
	if (!resend_has_end(&session->input))
		return 0;
	session->input.eof_is_sent = true;
	return outbound_put(guest, VMM_GUEST_EOF, NULL, 0);
}

/* What goes behind all input. */
static int
outbound_put_ends(struct vmm_guest *guest)
{
	struct outbound *out = &guest->out;
	bool waits = guest->is_durable && guest->session.wants_input &&
		     !guest->session.stdin_closed && resend_has_bytes(&guest->session.input);
	int r = outbound_put_eof(guest);

	if (r == 0 && out->thaw_is_due)
		r = outbound_put(guest, VMM_GUEST_THAW, NULL, 0);
	out->thaw_is_due = false;
	if (r < 0 || !out->detach_is_due || waits)
		return r;
	out->detach_is_due = false;
	return outbound_put(guest, VMM_GUEST_DETACH, NULL, 0);
}

/* Puts what is due behind what waits, at most once round. */
static int
outbound_fill(struct vmm_guest *guest)
{
	int r = 0;

	if (guest->awaits_attached)
		return 0;
	/* Of these alone there might be more than there is room for. */
	if (outbound_space(guest) == 0)
		return 0;
	r = outbound_put_signals(guest);
	if (r == 0 && guest->is_durable)
		r = outbound_put_ack(guest);
	if (r == 0 && guest->is_durable)
		r = outbound_put_kept(guest);
	return r < 0 ? r : outbound_put_ends(guest);
}

int
outbound_put_first(struct vmm_guest *guest, uint64_t *ret_begin)
{
	int r = outbound_put_ends(guest);

	*ret_begin = more_put_bytes(guest);
	return r < 0 ? r : outbound_put_request(guest);
}

/* ---- for senders --------------------------------------------------------------- */

size_t
vmm_guest_pending(struct vmm_guest *guest, const void **ret_data)
{
	struct outbound *out = &guest->out;

	*ret_data = NULL;
	/* A request that was refused before it was sent may have a rest. */
	if ((!handle_is_busy(guest) && !guest->is_kept) || out->is_deaf || guest->has_ended)
		return 0;
	if (guest->state == HANDLE_TALKS && outbound_fill(guest) < 0) {
		/* What the caller has not done with would go with the end. */
		if (!guest->is_given)
			handle_end_failed(guest, -ENOMEM, "out of memory");
		return 0;
	}
	*ret_data = out->data + out->sent;
	guest->shown = guest->sent + out->len - out->sent;
	return out->len - out->sent;
}

void
vmm_guest_sent(struct vmm_guest *guest, size_t len)
{
	struct outbound *out = &guest->out;
	size_t waits = out->len - out->sent;

	len = len < waits ? len : waits;
	out->sent += len;
	guest->sent += len;
	guest->has_sent |= guest->state == HANDLE_TALKS;
	guest->progress_ms = clock_mono_ms();
}

/* ---- for callers that have something to send ----------------------------------- */

size_t
vmm_guest_room(const struct vmm_guest *guest)
{
	if (!handle_is_busy(guest) || !outbound_has_input(guest) || guest->out.has_eof)
		return 0;
	if (guest->is_durable)
		return resend_room(&guest->session.input);
	/* What is told a connection that comes to nothing would be lost with it. */
	if (!guest->has_sent || guest->out.is_deaf)
		return 0;
	return outbound_space(guest);
}

/* Whether somebody still reads what is written. Of a durable session a connection that is about
 * to be another one says nothing of that. */
static bool
outbound_is_read(const struct vmm_guest *guest)
{
	if (guest->is_durable)
		return guest->session.wants_input && !guest->session.stdin_closed;
	return !guest->out.is_deaf;
}

int
vmm_guest_write(struct vmm_guest *guest, const void *data, size_t len)
{
	size_t room = vmm_guest_room(guest);
	int r;

	if (!outbound_has_input(guest) || guest->out.has_eof)
		return handle_fail(guest, -EINVAL, "there is nothing that takes input");
	if (!handle_is_busy(guest) || !outbound_is_read(guest))
		return handle_fail(guest, -EPIPE, "nobody reads the input any more");
	len = len < room ? len : room;
	if (len == 0)
		return 0;
	/* What was said before it stands in front of it, too. */
	r = guest->is_durable ? resend_put(&guest->session.input, data, len)
			      : outbound_put_signals(guest);
	if (r == 0 && !guest->is_durable)
		r = outbound_put(guest,
		    outbound_is_upload(guest) ? VMM_GUEST_FILE_DATA : VMM_GUEST_STDIN, data, len);
	guest->has_input |= r == 0;
	return r < 0 ? handle_fail(guest, r, "out of memory") : (int)len;
}

/* Goes to the next data of the file FD, *RET_HOLE bytes further on, or to its end; *LEN is made no
 * more than there is of it: lseek(2). */
static int
outbound_skip_hole(int fd, uint64_t *ret_hole, size_t *len)
{
	off_t at = lseek(fd, 0, SEEK_CUR);
	off_t begin = at < 0 ? -1 : lseek(fd, at, SEEK_DATA);
	off_t end;

	/* Behind the last data is the end. What can't tell has data alone. */
	if (at >= 0 && begin < 0)
		begin = errno == ENXIO ? lseek(fd, 0, SEEK_END) : at;
	if (begin < 0)
		return -errno;
	if (begin < at)
		begin = at;
	end = lseek(fd, begin, SEEK_HOLE);
	if (end > begin && (uint64_t)(end - begin) < *len)
		*len = (size_t)(end - begin);
	*ret_hole = (uint64_t)(begin - at);
	return lseek(fd, begin, SEEK_SET) < 0 ? -errno : 0;
}

/* read(2), again where a signal has come. Returns what it does, or -errno. */
static ssize_t
outbound_read_some(int fd, uint8_t *place, size_t len)
{
	ssize_t n;

	do
		n = read(fd, place, len);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* Reads the next of FD to where it is sent from, behind the hole that is in front of it. Returns
 * how many bytes of the file these are, or -errno. */
static int64_t
outbound_read(struct vmm_guest *guest, int fd, bool tells_holes)
{
	struct outbound *out = &guest->out;
	uint8_t type = outbound_is_upload(guest) ? VMM_GUEST_FILE_DATA : VMM_GUEST_STDIN;
	size_t len = outbound_space(guest);
	char text[FILE_HOLE_TEXT_MAX];
	uint64_t hole = 0;
	ssize_t n;
	int r = tells_holes ? outbound_skip_hole(fd, &hole, &len) : 0;

	if (r == 0 && hole > 0)
		r = outbound_put(guest, VMM_GUEST_FILE_STAT, text, file_hole_format(hole, text));
	if (r == 0)
		r = outbound_reserve(out, OUTBOUND_PAYLOAD_OFFSET + VMM_GUEST_HEADER_LEN + len);
	if (r < 0)
		return r;
	/* Of a frame that is alone the payload is where the kernel copies it fastest. */
	if (out->len == 0)
		out->sent = out->len = OUTBOUND_PAYLOAD_OFFSET - VMM_GUEST_HEADER_LEN;
	n = outbound_read_some(fd, out->data + out->len + VMM_GUEST_HEADER_LEN, len);
	if (n < 0 && hole == 0)
		return n;
	if (n > 0) {
		frame_header_format(out->data + out->len, type, (uint32_t)n);
		outbound_observe(guest, out->data + out->len, VMM_GUEST_HEADER_LEN + (size_t)n);
		out->len += VMM_GUEST_HEADER_LEN + (size_t)n;
	}
	return (int64_t)hole + (n > 0 ? n : 0);
}

/* The same of a durable session, to where it is kept. */
static int64_t
outbound_read_kept(struct vmm_guest *guest, int fd)
{
	size_t len;
	uint8_t *place = resend_place(&guest->session.input, &len);
	ssize_t n;

	if (place == NULL)
		return -ENOMEM;
	n = outbound_read_some(fd, place, len);
	if (n > 0)
		guest->session.input.end += (uint64_t)n;
	return n;
}

int64_t
vmm_guest_write_fd(struct vmm_guest *guest, int fd, int holes)
{
	int64_t n;

	if (!outbound_has_input(guest) || (holes != 0 && !outbound_is_upload(guest)) ||
	    guest->out.has_eof)
		return handle_fail(guest, -EINVAL, "there is nothing that takes input");
	if (!handle_is_busy(guest) || !outbound_is_read(guest))
		return handle_fail(guest, -EPIPE, "nobody reads the input any more");
	if (vmm_guest_room(guest) == 0)
		return -EAGAIN;
	/* What was said before it stands in front of it, too. */
	n = guest->is_durable ? outbound_read_kept(guest, fd) : outbound_put_signals(guest);
	if (n == 0 && !guest->is_durable)
		n = outbound_read(guest, fd, holes != 0);
	if (n == -EAGAIN)
		return n;
	if (n < 0)
		return handle_fail(guest, (int)n, "can't read the input: %s", strerror((int)-n));
	guest->has_input |= n > 0;
	return n;
}

int
vmm_guest_eof(struct vmm_guest *guest)
{
	if (!outbound_has_input(guest) || guest->out.has_eof)
		return handle_fail(guest, -EINVAL, "there is no input that could end");
	if (!handle_is_busy(guest))
		return 0;
	guest->out.has_eof = true;
	if (guest->is_durable)
		guest->session.input.has_eof = true;
	else
		guest->out.eof_is_due = true;
	return 0;
}

/* Whether there is a program that a signal or a size is for. */
static bool
outbound_has_program(const struct vmm_guest *guest)
{
	return guest->operation != NULL && guest->operation->kind == OPERATION_PROGRAM;
}

int
vmm_guest_signal(struct vmm_guest *guest, int signal)
{
	struct outbound *out = &guest->out;

	if (!outbound_has_program(guest) || signal < 1 || signal > OUTBOUND_SIGNAL_MAX)
		return handle_fail(
		    guest, -EINVAL, "signal %d: there is no program, or no such one", signal);
	if (out->signal_count == HANDLE_SIGNALS_MAX)
		return handle_fail(guest, -EAGAIN, "too many signals wait to be sent");
	out->signals[out->signal_count++] = (uint8_t)signal;
	return 0;
}

int
vmm_guest_resize(struct vmm_guest *guest, uint16_t columns, uint16_t rows)
{
	if (!outbound_has_program(guest))
		return handle_fail(guest, -EINVAL, "there is no program with a terminal");
	guest->out.size_due = (struct frame_resize){ .columns = columns, .rows = rows };
	guest->out.resize_is_due = true;
	guest->has_size = true;
	return 0;
}

int
vmm_guest_detach(struct vmm_guest *guest)
{
	if (!handle_is_busy(guest) || !guest->is_durable)
		return handle_fail(guest, -EINVAL, "there is no durable session to be left");
	guest->leaves = true;
	guest->out.detach_is_due = true;
	return 0;
}

int
vmm_guest_ack(struct vmm_guest *guest, uint64_t offset)
{
	struct durable *session = &guest->session;

	if (!handle_is_busy(guest) || !guest->is_durable || offset > vmm_guest_offset(guest))
		return handle_fail(
		    guest, -EINVAL, "there is no durable session, or not so much of its output");
	session->acks_by_hand = true;
	if (offset <= session->acked)
		return 0;
	session->acked = offset;
	session->ack_is_due = true;
	return 0;
}

int
vmm_guest_thaw(struct vmm_guest *guest)
{
	if (!handle_is_busy(guest) || guest->operation->type != VMM_GUEST_QUIESCE)
		return handle_fail(guest, -EINVAL, "there is no QUIESCE under way");
	guest->out.thaw_is_due = true;
	return 0;
}
