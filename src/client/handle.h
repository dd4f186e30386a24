/*
 * handle: what a struct vmm_guest is made of, and what the files of this room do with it. For
 * this room alone; what the functions of <vmm-guest/client.h> promise stands there.
 *
 * One operation is under way at a time. Its connection may be another after a while, if it is
 * a durable session. What stands in the parts below "of the connection" is then begun anew.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CLIENT_HANDLE_H
#define CLIENT_HANDLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/buffer.h"
#include "client/durable.h"
#include "client/operation.h"
#include "platform/address.h"
#include "platform/backoff.h"
#include "platform/io_error.h"
#include "protocol/frame_reader.h"
#include "vmm-guest/client.h"
#include "vmm-guest/protocol.h"

/* What is left free of input for the frames that overtake it, each of at most 13 bytes. */
#define HANDLE_SPARE 256

/* What is received at once: two frames of the largest size that an agent sends, as moving what is
 * left of one to the front is then rare; and what waits to be sent but for a first frame: one of
 * input, of an upload of the largest size. */
#define HANDLE_READ_MAX (2 * (VMM_GUEST_HEADER_LEN + VMM_GUEST_DATA_MAX))
#define HANDLE_SEND_MAX (VMM_GUEST_HEADER_LEN + 64u * 1024 + HANDLE_SPARE)
#define HANDLE_UPLOAD_MAX (VMM_GUEST_HEADER_LEN + VMM_GUEST_DATA_MAX + HANDLE_SPARE)
#define HANDLE_ERROR_MAX (5u * 1024) /* the agent's words have paths in them */
#define HANDLE_WHY_MAX 512
#define HANDLE_SIGNALS_MAX 16
#define HANDLE_TURNS_MAX 1024

/* All that an answer may say: a STATUS and words. A guest that goes on for ever is not listened
 * to. */
#define HANDLE_SAID_MAX (2ul * VMM_GUEST_FRAME_MAX)
#define HANDLE_SAID_TOO_MUCH "the agent says more than any answer takes"

#define HANDLE_NO_AGENT "what answers does not speak the agent's protocol"
#define HANDLE_NOT_BEGUN                                                                           \
	"the agent closed the connection before it began this request, which may be begun again"
#define HANDLE_IN_DOUBT "the connection was reset, and whether this was done is not known"

enum handle_option {
	OPTION_CONNECT_MS = 0,
	OPTION_RETRY_MS,
	OPTION_ANSWER_MS,
	OPTION_FIRST_MS,
	OPTION_QUIET_MS,
	OPTION_TIMEOUT_MS,
	OPTION_RECONNECT_MS,
	OPTION_JSON_MAX,
	OPTION_OUTPUT_MAX,
	OPTION_CANCEL_FD,
	OPTION_OWN_NAME,
	OPTION_REPORT,
	OPTION_HANDSHAKE,
	OPTION_COUNT
};

/* Where an operation stands. */
enum handle_state {
	HANDLE_IDLE = 0, /* none was begun */
	HANDLE_CONNECTS, /* a connection is to be made, or is being made */
	HANDLE_SHAKES,	 /* it is there, and the device has not said OK */
	HANDLE_TALKS,
	HANDLE_OVER, /* the end is still to be told */
	HANDLE_TOLD, /* and was */
};

/* What goes out: SENT of the bytes in DATA have gone. In front of it, of what stands below, goes
 * what does not wait for input's turn. */
struct outbound {
	uint8_t *data;
	size_t size;
	size_t sent;
	size_t len;
	bool is_deaf;	 /* the agent takes nothing any more */
	bool eof_is_due; /* of what is not durable */
	bool has_eof;	 /* vmm_guest_eof() was called */
	bool detach_is_due;
	bool thaw_is_due;
	bool resize_is_due;
	struct frame_resize size_due;
	size_t signal_count;
	uint8_t signals[HANDLE_SIGNALS_MAX];
};

/* An operation that was begun while another one is under way, on the same connection. */
struct turn {
	const struct operation *operation;
	bool has_more;
	uint64_t begin; /* of its first frame, in bytes of the connection */
};

/* A piece of a frame that has come: all of it, for what is no stream of bytes. */
struct piece {
	uint8_t type;
	bool is_first;
	bool is_last;
	const uint8_t *data;
	size_t len;
};

struct vmm_guest {
	/* ---- of the handle */
	char *address_text; /* NULL: the caller makes the connections */
	int64_t options[OPTION_COUNT];
	int error; /* -errno */
	char error_text[HANDLE_ERROR_MAX];
	vmm_guest_observer observer; /* NULL: there is none */
	void *observer_context;

	/* ---- of the operation */
	const struct operation *operation; /* whose answer comes */
	bool has_more;			   /* others are to come on its connection */
	uint64_t begin;			   /* as a turn's */
	struct turn last;		   /* that was begun last, whose input it is */
	struct turn *turns; /* begun behind OPERATION: a ring of HANDLE_TURNS_MAX, or NULL */
	size_t turns_first;
	size_t turns_count;
	enum handle_state state;
	enum vmm_guest_event end; /* of HANDLE_OVER */
	int result;
	bool has_result; /* an operation has ended since one was begun that was under way alone */
	bool is_skipped; /* of HANDLE_OVER: its turn did not come, as SKIPPED says: an -errno */
	int skipped;
	bool is_answer_old; /* the last JSON is of an operation whose end was told */
	struct address address;
	struct buffer first; /* the first frame, header and all */
	uint64_t deadline_ms;
	uint64_t give_up_ms; /* that nobody listens is borne until then */
	int unreached;	     /* why the last try to connect failed, as END_ERROR; -1: none did */
	bool has_begun;	     /* of a program: it runs, or has run; of a file: an answer has */
	bool has_input;	     /* bytes were written */
	bool has_exited;     /* STATUS `exited` has come */
	bool is_durable;
	bool leaves;	  /* vmm_guest_detach() was called */
	bool has_size;	  /* vmm_guest_resize() was called */
	bool is_answered; /* the agent owes no answer (right now) */
	bool handshake;
	bool quiet_is_due;
	bool quiet_is_told;
	bool is_refusal; /* ERROR_TEXT is the agent's own */
	bool has_exit;
	struct frame_exit exit;
	enum vmm_guest_reached reached;
	size_t said; /* in all frames of an OPERATION_CONTROL's answer */
	/* The first frame goes with the handshake, without a wait for its answer: a device reads
	 * its own line alone, and the rest once the guest is there. Not where it is said again if
	 * no answer comes: something else between us may have passed it on. */
	bool sends_ahead;
	struct durable session;
	struct buffer start;	  /* of a session that may not have begun: its first frame */
	bool starts_anew;	  /* it has not, when it was asked for last */
	struct buffer answer;	  /* the last JSON */
	struct buffer kept[3];	  /* STDOUT, STDERR, DATA of the blocking functions */
	struct backoff backoff;	  /* of tries to connect */
	uint64_t reconnect_ms;	  /* a durable session's connection is lost: until when to try */
	uint64_t reconnect_mark;  /* how far it had come when it was last attached to */
	uint64_t attached_ms;	  /* and when that was; 0: never */
	bool lost_is_due;	  /* to be told */
	char why[HANDLE_WHY_MAX]; /* there is no connection, in words */

	/* ---- of the connection */
	int fd;
	bool is_kept;	     /* for the next operation, though none is under way */
	bool has_answered;   /* an operation has ended on it */
	bool has_unasked;    /* something has come behind its answer */
	bool connect_is_due; /* VMM_GUEST_EVENT_CONNECT */
	bool is_connecting;  /* connect(2) is under way */
	uint64_t try_ms;     /* when to make it; CLOCK_NEVER: not by time */
	uint64_t try_until_ms;
	bool has_sent;	/* something of the request */
	uint64_t sent;	/* bytes */
	uint64_t shown; /* that vmm_guest_pending() has shown, and the caller may have sent */
	bool has_ended; /* nothing more comes than what was received */
	int end_error;
	bool is_dry;   /* vmm_guest_next() had nothing more to give out since bytes came last */
	bool is_given; /* what it gave out last stands in the buffer, until it is called again */
	size_t shown_later;	 /* so much of it is output */
	bool awaits_attached;	 /* ATTACH is not answered: nothing else goes out */
	uint64_t progress_ms;	 /* when something came, or went, last */
	uint64_t words_ms;	 /* when words that are held are a program's after all */
	struct io_lack lack;	 /* of the kernel's memory */
	uint64_t short_until_ms; /* little is sent at once until then, for want of it */
	struct buffer words;	 /* of STDERR before it is known whose they are */
	bool words_are_due;	 /* they are a program's: to be given out */
	struct outbound out;
	struct frame_reader reader;
	struct frame_header frame; /* that is being given out */
	struct buffer text;	   /* a frame that is to be whole, as far as it has come */
};

/* ---- handle.c: errors and ends */

/* Sets the error -R and its words. Returns R. */
int handle_fail(struct vmm_guest *guest, int r, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The operation is over with RESULT, or with the error R; its connection is closed. */
void handle_end(struct vmm_guest *guest, enum vmm_guest_event end, int result);
void handle_end_failed(struct vmm_guest *guest, int r, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same by the agent's own WORDS. */
void handle_end_refused(struct vmm_guest *guest, int r, const char *words);

/* Tells the observer, if there is one, of a frame. */
void handle_observe(struct vmm_guest *guest, bool is_out, const struct frame_header *frame,
    const void *data, size_t data_len);

/* The operation has come as far as REACHED. */
void handle_reach(struct vmm_guest *guest, enum vmm_guest_reached reached);

/* The same with RESULT, 0 or the error that is set, where the answer has come whole: the
 * connection stays for other operations, if it may. */
void handle_end_answered(struct vmm_guest *guest, int result);

/* Forgets the connection, if there is one, and has another made at TRY_MS. */
void handle_connect_at(struct vmm_guest *guest, uint64_t try_ms);

/* The connection is there. */
void handle_connected(struct vmm_guest *guest);

/* Whether an operation is under way. */
static inline bool
handle_is_busy(const struct vmm_guest *guest)
{
	return guest->state != HANDLE_IDLE && guest->state != HANDLE_OVER &&
	       guest->state != HANDLE_TOLD;
}

/* ---- more.c: several requests on one connection */

/* Whether the connection stays, now that the answer has come whole: what is still to be sent of
 * the request is then in the block. */
bool more_keeps(struct vmm_guest *guest);

/* Whether OPERATION can go on upon a connection that was kept. */
bool more_goes_on(struct vmm_guest *guest, const struct operation *operation);

/* Whether OPERATION can be begun behind what is under way: 0, -EALREADY or -EAGAIN. And: it is
 * begun, its first frame is in the handle. Returns 0 or -ENOMEM. */
int more_check(const struct vmm_guest *guest, const struct operation *operation);
int more_put(struct vmm_guest *guest, struct turn turn);

/* The end was told, and others are under way: it is the next one's turn. And: who was told has
 * looked at what there is to know of the one that has ended. */
void more_advance(struct vmm_guest *guest);
void more_begin_turn(struct vmm_guest *guest);

/* How many bytes of the connection were sent or wait for that. */
uint64_t more_put_bytes(const struct vmm_guest *guest);

/* Whether nothing of the request whose answer is waited for was sent; and whether all of it was. */
bool more_is_unasked(const struct vmm_guest *guest);
bool more_is_asked(const struct vmm_guest *guest);

/* What an operation ends with whose turn did not come: an -errno. */
int more_skip(struct vmm_guest *guest);

/* The connection was lost. Returns whether that is not the end: between two requests an agent may
 * close it, and has begun none of those that are not answered. */
bool more_lose(struct vmm_guest *guest);

/* ---- outbound.c */

/* Empties it. */
void outbound_clear(struct vmm_guest *guest);

/* What a connection begins with, as its state says: the handshake, and the first frame. Returns 0
 * or -ENOMEM. */
int outbound_begin(struct vmm_guest *guest);

/* Adds a frame. Returns 0 or -ENOMEM; a frame of a type that is no first one fits always. */
int outbound_put(struct vmm_guest *guest, uint8_t type, const void *payload, size_t len);

/* The same without a copy: where the payload, of at most LEN bytes, is to be written, NULL: no
 * memory; and it stands there, LEN bytes. */
uint8_t *outbound_place(struct vmm_guest *guest, size_t len);
void outbound_put_placed(struct vmm_guest *guest, uint8_t type, size_t len);

/* Adds the signals and the size that are due, which go in front of input. Returns 0 or -ENOMEM. */
int outbound_put_signals(struct vmm_guest *guest);

/* Whether the last operation's input is a file's bytes, and not a program's. */
bool outbound_is_upload(const struct vmm_guest *guest);

/* The same of the first frame of an operation that is begun on a connection that there is, behind
 * what is due of the operation before: at *RET_BEGIN of the connection's bytes. */
int outbound_put_first(struct vmm_guest *guest, uint64_t *ret_begin);

/* How much input there is room for, of one frame. */
size_t outbound_space(const struct vmm_guest *guest);

/* Adds the end of input that is not durable, if it is due. Returns 0 or -ENOMEM. */
int outbound_put_eof(struct vmm_guest *guest);

/* Whether all was sent that there is. */
bool outbound_is_empty(const struct vmm_guest *guest);

/* ---- inbound.c */

/* Where to receive to, and how much: 0 where vmm_guest_next() has to go on first. And: so much
 * has come. */
size_t inbound_room(struct vmm_guest *guest, uint8_t **ret);
void inbound_received(struct vmm_guest *guest, size_t len);

/* ---- answer_exec.c, answer_file.c, answer_durable.c: what the pieces mean */

/* Whether the words that are held turn out to be a program's by what comes behind them. */
bool answer_exec_words_are_due(const struct vmm_guest *guest);

/* Takes PIECE. Returns the event that it is, with *PIECE what is to be given out. */
enum vmm_guest_event answer_exec_take(struct vmm_guest *guest, struct piece *piece);
enum vmm_guest_event answer_file_take(struct vmm_guest *guest, struct piece *piece);

/* The JSON in PIECE is what vmm_guest_answer() gives from now on; PIECE is that. */
void answer_keep(struct vmm_guest *guest, struct piece *piece);

/* What is to be done before PIECE, of a durable session, is given out. Returns whether it is. */
bool answer_durable_take(struct vmm_guest *guest, struct piece *piece);

/* EXIT has come and ATTACH was not answered. */
void answer_durable_refused(struct vmm_guest *guest);

/* A START was refused with ERROR. Returns whether it was repeated, and the one before it is what
 * is there: that is come to then. */
bool answer_durable_is_there(struct vmm_guest *guest, int error);

/* The connection was lost. Returns whether that is not the end. */
bool answer_durable_lose(struct vmm_guest *guest);

/* ---- due.c: what time brings */

/* When due_act() has something to do, CLOCK_NEVER: never. And: it is done. */
uint64_t due_ms(const struct vmm_guest *guest);
void due_act(struct vmm_guest *guest);

/* The connection, of which nothing is left to be read, came to its end, or never was: another is
 * made, or the operation is over. */
void due_lose(struct vmm_guest *guest);

/* ---- step.c */

/* A step, in which bytes are received where EVENTS of poll(2) say that there are some. */
void step_io(struct vmm_guest *guest, int events);

/* ---- connect.c */

/* Goes on with making the connection. */
void connect_step(struct vmm_guest *guest);

#endif
