/*
 * input: what a caller gives for the agent: input of a program, bytes of an upload, and their end;
 * signals, sizes and words for the agent itself, which overtake them.
 *
 * What is taken stands in the block of outbound.c, as a frame; of a durable session in its ring,
 * from where it may be sent again. Of the rest is noted here what is due.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "client/handle.h"
#include "protocol/file_entry.h"

#define INPUT_SIGNAL_MAX 64

/* ---- input --------------------------------------------------------------------- */

static bool
input_is_taken(const struct vmm_guest *guest)
{
	return guest->operation != NULL && (guest->last.operation->flags & OPERATION_INPUT) != 0;
}

/* What frame it is in. */
static uint8_t
input_frame(const struct vmm_guest *guest)
{
	return outbound_is_upload(guest) ? VMM_GUEST_FILE_DATA : VMM_GUEST_STDIN;
}

size_t
vmm_guest_room(const struct vmm_guest *guest)
{
	if (!handle_is_busy(guest) || !input_is_taken(guest) || guest->out.has_eof)
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
input_is_read(const struct vmm_guest *guest)
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

	if (!input_is_taken(guest) || guest->out.has_eof)
		return handle_fail(guest, -EINVAL, "there is nothing that takes input");
	if (!handle_is_busy(guest) || !input_is_read(guest))
		return handle_fail(guest, -EPIPE, "nobody reads the input any more");
	len = len < room ? len : room;
	if (len == 0)
		return 0;
	/* What was said before it stands in front of it, too. */
	r = guest->is_durable ? resend_put(&guest->session.input, data, len)
			      : outbound_put_signals(guest);
	if (r == 0 && !guest->is_durable)
		r = outbound_put(guest, input_frame(guest), data, len);
	guest->has_input |= r == 0;
	return r < 0 ? handle_fail(guest, r, "out of memory") : (int)len;
}

/* Goes to the next data of the file FD, *RET_HOLE bytes further on, or to its end; *LEN is made no
 * more than there is of it: lseek(2). */
static int
input_skip_hole(int fd, uint64_t *ret_hole, size_t *len)
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
input_read_some(int fd, uint8_t *place, size_t len)
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
input_read(struct vmm_guest *guest, int fd, bool tells_holes)
{
	size_t len = outbound_space(guest);
	char text[FILE_HOLE_TEXT_MAX];
	uint64_t hole = 0;
	uint8_t *place;
	ssize_t n;
	int r = tells_holes ? input_skip_hole(fd, &hole, &len) : 0;

	if (r == 0 && hole > 0)
		r = outbound_put(guest, VMM_GUEST_FILE_STAT, text, file_hole_format(hole, text));
	if (r < 0)
		return r;
	place = outbound_place(guest, len);
	if (place == NULL)
		return -ENOMEM;
	n = input_read_some(fd, place, len);
	if (n < 0 && hole == 0)
		return n;
	if (n > 0)
		outbound_put_placed(guest, input_frame(guest), (size_t)n);
	return (int64_t)hole + (n > 0 ? n : 0);
}

/* The same of a durable session, to where it is kept. */
static int64_t
input_read_kept(struct vmm_guest *guest, int fd)
{
	size_t len;
	uint8_t *place = resend_place(&guest->session.input, &len);
	ssize_t n;

	if (place == NULL)
		return -ENOMEM;
	n = input_read_some(fd, place, len);
	if (n > 0)
		guest->session.input.end += (uint64_t)n;
	return n;
}

int64_t
vmm_guest_write_fd(struct vmm_guest *guest, int fd, int holes)
{
	int64_t n;

	if (!input_is_taken(guest) || (holes != 0 && !outbound_is_upload(guest)) ||
	    guest->out.has_eof)
		return handle_fail(guest, -EINVAL, "there is nothing that takes input");
	if (!handle_is_busy(guest) || !input_is_read(guest))
		return handle_fail(guest, -EPIPE, "nobody reads the input any more");
	if (vmm_guest_room(guest) == 0)
		return -EAGAIN;
	/* What was said before it stands in front of it, too. */
	n = guest->is_durable ? input_read_kept(guest, fd) : outbound_put_signals(guest);
	if (n == 0 && !guest->is_durable)
		n = input_read(guest, fd, holes != 0);
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
	if (!input_is_taken(guest) || guest->out.has_eof)
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

/* ---- beside it ------------------------------------------------------------------- */

/* Whether there is a program that a signal or a size is for. */
static bool
input_has_program(const struct vmm_guest *guest)
{
	return guest->operation != NULL && guest->operation->kind == OPERATION_PROGRAM;
}

int
vmm_guest_signal(struct vmm_guest *guest, int signal)
{
	struct outbound *out = &guest->out;

	if (!input_has_program(guest) || signal < 1 || signal > INPUT_SIGNAL_MAX)
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
	if (!input_has_program(guest))
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
