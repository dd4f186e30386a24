/*
 * control: requests of port 52 that are one frame, and end with EXIT.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_CORE_CONTROL_H
#define CTL_CORE_CONTROL_H

#include <stddef.h>
#include <stdint.h>

#include "ctl/core/client.h"

struct control_answer {
	struct frame_exit exit;
	char *status; /* the last STATUS, a NUL behind it; NULL: none came */
	size_t status_len;
	char words[512]; /* what the agent said on STDERR, without the last newline */
};

/* Frees what control_ask() put there. */
void control_answer_done(struct control_answer *answer);
#define CLEANUP_ANSWER __attribute__((cleanup(control_answer_done)))

/* Asks, and waits for the answer, for TIMEOUT_MS in all (-1: as long as it takes,
 * but for CLIENT_CONNECT_MS to connect). Returns 0 when EXIT came, whatever it says;
 * or -errno with ERROR filled in: -ENODATA if the agent closed without an EXIT,
 * -EMSGSIZE if it says more than any answer takes. */
int control_ask(const struct client_target *target, uint8_t type, const void *payload, size_t len,
    int timeout_ms, struct control_answer *ret, struct client_error *error);

/* The same on CLIENT, which is open and on which nothing was asked yet, until its deadline. It
 * stays the caller's. */
int control_ask_on(struct client *client, uint8_t type, const void *payload, size_t len,
    struct control_answer *ret, struct client_error *error);

#endif
