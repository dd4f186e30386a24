/*
 * reconnect: when a connection to a durable session is made anew, for how long that is
 * tried, and how it is asked for.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_RECONNECT_H
#define CTL_RECONNECT_H

#include <stdbool.h>
#include <stdint.h>

#include "ctl/core/client.h"
#include "client/durable.h"
#include "platform/backoff.h"

/* How long one attempt may take: to be connected, in which nobody sees what is typed, and
 * then to be answered. */
#define RECONNECT_CONNECT_MS 2000
#define RECONNECT_ANSWER_MS 5000

/* Zero-initialised but for SECONDS, and reconnect_rest() called, it is ready for use. */
struct reconnect {
	uint32_t seconds; /* for how long it is tried; 0: not at all */
	struct backoff backoff;
	uint64_t try_ms;	   /* when it is tried next; CLOCK_NEVER: not while a try runs */
	uint64_t answer_ms;	   /* by when a try has to be answered; CLOCK_NEVER: none runs */
	uint64_t give_up_ms;	   /* CLOCK_NEVER: there is a connection */
	uint64_t answered_ms;	   /* when there was one last */
	uint64_t progress;	   /* how far the session had come by then */
	struct client_error error; /* of the last try */
};

/* Nothing is due, as there is a connection. PROGRESS tells whether the one before was good
 * for something: it is another number then. */
void reconnect_rest(struct reconnect *reconnect, uint64_t progress, uint64_t now_ms);

/* There is none any more: a try is due, soon where the last connection was good for
 * something, or has lasted. Returns whether this is news, and not one of the tries that
 * failed. */
bool reconnect_begin(struct reconnect *reconnect, uint64_t now_ms);

/* When reconnect_try() is to be called, or the answer is late; CLOCK_NEVER: never. */
uint64_t reconnect_due_ms(const struct reconnect *reconnect);

/* Whether the time is up. */
bool reconnect_is_over(const struct reconnect *reconnect, uint64_t now_ms);

/* Opens CLIENT, which is closed, and asks for SESSION. Returns 0; or -EAGAIN where that
 * did not succeed, and the next try is planned. It waits for RECONNECT_CONNECT_MS at
 * most, less if a caught signal comes. */
int reconnect_try(
    struct reconnect *reconnect, struct client *client, const struct durable *session);

/* Sends the ATTACH of SESSION. Returns 0; or -errno with ERROR filled in where there is no
 * memory; that the agent has gone will be seen when its answer is read. */
int reconnect_ask(struct client *client, const struct durable *session, struct client_error *error);

#endif
