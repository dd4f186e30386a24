/*
 * operation: what can be asked of an agent, by the name of its frame.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CLIENT_OPERATION_H
#define CLIENT_OPERATION_H

#include <stdint.h>

/* By what kind of answer. */
enum operation_kind {
	OPERATION_PROGRAM, /* output, reports and EXIT */
	OPERATION_RELAY,   /* CONNECT: both ways, and EXIT */
	OPERATION_CONTROL, /* EXIT, a STATUS before it or not */
	OPERATION_FILE,	   /* one frame, or FILE_ERR; of READ and TREE more before that */
	OPERATION_WATCH,   /* ACK, and events without end */
};

enum operation_flag {
	/* It is owed an answer that takes no time of the guest's programs or of the request's own.
	 */
	OPERATION_PROMPT = 1 << 0,
	OPERATION_INPUT = 1 << 1,  /* the host sends STDIN, or FILE_DATA */
	OPERATION_EMPTY = 1 << 2,  /* its payload may be empty */
	OPERATION_BINARY = 1 << 3, /* CLOCK_SYNC */
	OPERATION_ONCE = 1 << 4,   /* done twice, it is not what it was done once */
};

struct operation {
	const char *name; /* of the frame, as in PROTOCOL.md */
	uint8_t type;
	uint8_t kind; /* enum operation_kind */
	uint8_t flags;
	uint8_t no; /* what EXIT 1 means, as an errno; 0: nothing of its own */
};

/* Returns the request whose frame is NAME, or NULL. */
const struct operation *operation_find(const char *name);

/* The vsock port that it goes to. */
uint32_t operation_port(const struct operation *operation);

#endif
