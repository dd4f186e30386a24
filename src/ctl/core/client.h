/*
 * client: what all commands know of the agent they are for, and how it is said that something went
 * wrong with it. What is asked of it is ctl/core/guest.h's.
 *
 * Nothing here ends the program, writes to its streams, or keeps anything of its own.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_CORE_CLIENT_H
#define CTL_CORE_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm-guest/protocol.h"

/* How long an agent may take to answer a connection. */
#define CLIENT_CONNECT_MS 10000

/* After this time without a sign of life it is told. */
#define CLIENT_QUIET_MS 5000

/* How long in a row the kernel may lack memory before that is an error. */
#define CLIENT_LACK_MS 60000

/* What went wrong, for a person: what was tried, and what can be done. */
struct client_error {
	char text[512];
};

/* A frame that goes out or has come in, for a trace: its first bytes, or all of it. */
struct client_frame {
	bool is_out;
	uint8_t type;
	size_t len; /* of the whole payload */
	const uint8_t *data;
	size_t data_len;
};

/* Where the agent is, and what all connections to it share, which it outlives. */
struct client_target {
	const char *address; /* unix:PATH or vsock:CID; "": none */
	const char *hint;    /* what the text of that error ends with */
	int cancel_fd;	     /* -1: nothing cancels */
	/* Told each frame, from any thread; NULL: nobody is. */
	void (*trace)(const struct client_frame *frame);
	/* Called by any thread that waits, each TICK_MS; NULL: nothing is. */
	void (*tick)(void);
	int tick_ms;
	/* Called by any thread when a connection is made, and for CLIENT_QUIET_MS nothing came
	 * of the agent's answer, nor could anything be sent; NULL: nothing is. */
	void (*quiet)(void);
	int answer_ms; /* how long that may last at most; 0: for ever */
};

/* Puts the text of FORMAT into ERROR. */
void client_fail(struct client_error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Returns 0 where there is an address that can be understood; or -EINVAL with ERROR filled in. */
int client_check_target(const struct client_target *target, struct client_error *error);

#endif
