/*
 * readiness: tells whoever waits for it that the agent serves: the host by vsock,
 * a service manager by sd_notify(3)'s protocol. That nobody listens is not an error.
 * Nothing here ever waits: what is under way joins the supervisor's poll.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SUPERVISOR_READINESS_H
#define SUPERVISOR_READINESS_H

#include <poll.h>
#include <stdint.h>

#include "platform/address.h"
#include "platform/backoff.h"

#define READINESS_DIALS 2

/* Between two attempts where there is no transport yet: at first 100 ms, then twice
 * as long each time, up to this. */
#define READINESS_RETRY_MAX_MS 5000

/* A connection that carries one short text, and the attempts to make it. */
struct readiness_dial {
	const char *text; /* NULL: there is nothing to tell */
	struct address_port to;
	int fd;		 /* of the attempt that is under way; -1: none is */
	uint64_t due_ms; /* it is given up then; the next one begins then */
	struct backoff backoff;
};

struct readiness {
	const char *host_path;
	struct readiness_dial dials[READINESS_DIALS];
};

/* Nothing is under way. HOST_PATH (borrowed; or NULL) is the Unix socket that stands for
 * a vsock device's: the host's ports are sockets beside it then; see dial_begin_unix(). */
void readiness_init(struct readiness *readiness, const char *host_path);

/* Begins to tell TO, a vsock port, TEXT (borrowed, and short). At most READINESS_DIALS
 * at once. While there is no way to the host yet, which vsock's modules may still
 * make, it is tried again for ever; nobody listening is the end of it. */
void readiness_dial(struct readiness *readiness, const struct address_port *to, const char *text);

/* Puts the descriptors to wait for into POLLS, READINESS_DIALS long. Returns how many
 * there are. */
int readiness_list(const struct readiness *readiness, struct pollfd *polls);

/* Goes on with what is under way or due, as far as that goes without waiting. Returns
 * when it is to be called again (CLOCK_MONOTONIC ms); CLOCK_NEVER: all is done. */
uint64_t readiness_step(struct readiness *readiness);

/* Sends TEXT, as "READY=1", to SOCKET_NAME, which is what $NOTIFY_SOCKET holds: a path, or
 * an abstract name behind "@". Returns 0, also where it is NULL or empty, or -errno. */
int readiness_notify(const char *socket_name, const char *text);

#endif
