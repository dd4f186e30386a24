/*
 * readiness: tells whoever waits for it that the agent serves: the host by vsock,
 * a service manager by sd_notify(3)'s protocol. Nobody listening is no error, and
 * nothing here ever waits: what is under way joins the supervisor's poll.
 */
#ifndef SUPERVISOR_READINESS_H
#define SUPERVISOR_READINESS_H

#include <poll.h>
#include <stdint.h>

#include "platform/address.h"

#define READINESS_DIALS 2

/* A connection that is being made, to carry one short text. */
struct readiness_dial {
	int fd; /* -1: none */
	struct address_port to;
	const char *text;
	uint64_t deadline_ms;
};

struct readiness {
	struct readiness_dial dials[READINESS_DIALS];
};

/* Nothing is under way. */
void readiness_init(struct readiness *readiness);

/* Begins to tell TO, a vsock port, TEXT (borrowed, and short). */
void readiness_dial(struct readiness *readiness, const struct address_port *to, const char *text);

/* Puts what is to be waited for into POLLS, READINESS_DIALS long. Returns how many
 * there are. */
int readiness_list(const struct readiness *readiness, struct pollfd *polls);

/* Goes on with what is under way, as far as that goes without waiting. Returns when
 * it is to be given up (CLOCK_MONOTONIC ms); CLOCK_NEVER: all is done. */
uint64_t readiness_step(struct readiness *readiness);

/* Sends TEXT, as "READY=1", to SOCKET_NAME, which is what $NOTIFY_SOCKET holds: a path, or
 * an abstract name behind "@". Returns 0, also where it is NULL or empty, or -errno. */
int readiness_notify(const char *socket_name, const char *text);

#endif
