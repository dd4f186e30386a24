/*
 * session: what every kind of session is given, and how one ends. A kind is a
 * file with one serve function; kinds do not know each other. request_table.h has the
 * table through which a worker finds them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_SESSION_H
#define SESSION_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/frame.h"
#include "session/conn.h"
#include "shared/session_settings.h"
#include "shared/scoreboard.h"

struct json_error;

struct session {
	struct slot *slot;
	struct scoreboard *board;
	const struct session_settings *settings;
	uint32_t slot_index;
	int duplicates_fd; /* of the queue that holds the connection's duplicate; -1: none */
	bool has_left_duplicate;
	bool is_last;  /* of this worker: json-c up to 0.17 leaks what it had no memory to add */
	bool has_more; /* the request said `more`, and nothing has come that ends the connection */
	bool goes_on;  /* so it did, its answer has gone, and the next request may be read */
	bool is_uploading; /* what comes next still belongs to the request */
	uint8_t held;	   /* answers held back; any worker can write over the slot's, which the
			      supervisor reads */
	struct conn conn;
};

/* Serves one request whose first frame had TYPE; PAYLOAD (LEN bytes) is borrowed
 * and good only until the connection is read again. A serve function sends the
 * last frame itself; the caller closes the connection. */
typedef void session_serve_fn(
    struct session *session, uint8_t type, const uint8_t *payload, size_t len);

/* Sends the agent's own words on STDERR, a newline behind them, then EXIT 125,
 * 126 or 127 with CODE. */
void session_refuse_exec(struct session *session, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Refuses the request, the one way for all: counts it in COUNT of the scoreboard (NULL: not
 * at all), answers in the slot's reply style, and only then logs. The text is what FORMAT
 * says; for FILE_ERR, the name of ERROR (-errno, a known one) stands in front. CONTROL
 * has no text in its answer, so that it goes into the log. */
void session_refuse(struct session *session, _Atomic uint64_t *count, int error, const char *format,
    ...) __attribute__((format(printf, 4, 5)));

/* The same for a request whose JSON is wrong, which ERROR says; NAME is its frame's. */
void session_refuse_bad(struct session *session, const char *name, const struct json_error *error);

/* After a refusal of an upload, which the host may still be sending: reads and drops it up to
 * FILE_DONE, for MAX_MS at most, so that the host sees the answer and not a reset. */
void session_discard_upload(struct session *session, int max_ms);

/* Sends the last frame of the request, with LEN bytes of PAYLOAD, as conn_send_last() does:
 * it is the connection's too, but where the session has `more`: then it goes on. The session's
 * admission is given back before: a host that reads the answer and asks for the next must not
 * find it taken. (An upload that goes on keeps it, as the rest is still to be dropped.) */
int session_send_last(struct session *session, uint8_t type, const void *payload, size_t len);

/* The ACKs of uploads behind which another stands in the buffer, whole, are held back: they go out
 * many at a time, SLOT_HELD_MAX at most, or in front of what is sent next. As long as they are
 * held the supervisor would send them. Sends them now; returns 0 or -EPIPE. */
int session_send_held(struct session *session);

/* After the last frame the supervisor has nothing to say for a session: takes back the
 * duplicate of the connection that is kept for it. Where it can't, the worker must leave. */
void session_drop_duplicate(struct session *session);

/* Sends EXIT, 8 bytes, as the last frame. */
void session_send_exit(struct session *session, int32_t code, int32_t signal);

/* Sends STATUS with the LEN bytes of TEXT, from malloc(3), and frees them; NULL: there was no
 * memory for them, and EXIT says that instead. Returns whether STATUS has gone, and EXIT is
 * still to come. */
bool session_send_status(struct session *session, char *text, size_t len);

/* The host's own name of the session, for STATUS and the log; "": it has none. */
void session_set_name(struct session *session, const char *name);

/* The agent's instance in hex digits, with the NUL. */
void session_format_instance(const struct session *session, char text[VMM_GUEST_INSTANCE_LEN + 1]);

/* Tells STATUS of the session: both are cut to what a slot holds. */
void session_describe(struct session *session, const char *user, const char *command);

#endif
