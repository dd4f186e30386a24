/*
 * control: requests of port 52 that are one frame, and end with EXIT.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_CORE_CONTROL_H
#define CTL_CORE_CONTROL_H

#include <stddef.h>

#include "ctl/core/guest.h"
#include "protocol/frame.h"

/* Zero-initialised there is none. */
struct control_answer {
	struct guest guest; /* that was asked, whose memory the rest is in */
	struct frame_exit exit;
	const char *status; /* the last STATUS, a NUL behind it; NULL: none came */
	size_t status_len;
	const char *words; /* why the agent refused, by its own words; "": it said none */
};

/* Frees what control_ask() put there. */
void control_answer_done(struct control_answer *answer);
#define CLEANUP_ANSWER __attribute__((cleanup(control_answer_done)))

/* Asks, and waits for the answer: FRAME with JSON or NULL as in vmm_guest_request(), for TIMEOUT_MS
 * in all (-1: as long as it takes, but for CLIENT_CONNECT_MS to connect). Returns 0 when EXIT
 * came, whatever it says; or -errno of guest_error() with ERROR filled in. */
int control_ask(const struct client_target *target, const char *frame, const char *json,
    int timeout_ms, struct control_answer *ret, struct client_error *error);

/* The same of ANSWER's guest, which is open; and where the operation has been begun there. */
int control_ask_guest(
    struct control_answer *answer, const char *frame, const char *json, struct client_error *error);
int control_finish(struct control_answer *answer, struct client_error *error);

#endif
