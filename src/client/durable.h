/*
 * durable: a session that outlives its connections, as its host knows it: which one it is,
 * how far its output and its input have come, and what to ask for to come back to it.
 * Pure: it opens nothing, sends nothing and says nothing.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CLIENT_DURABLE_H
#define CLIENT_DURABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/resend.h"
#include "protocol/report.h"
#include "vmm-guest/protocol.h"

/* Of the words that the agent refuses an ATTACH with. */
#define DURABLE_WORDS_MAX 256

/* How much of the output is acknowledged at a time: well under the smallest journal. */
#define DURABLE_ACK_EVERY 32768

struct durable {
	/* Which: by number where that is not 0, else by name; and of which agent, once known. */
	uint64_t session;
	char name[VMM_GUEST_NAME_MAX + 1];
	char instance[VMM_GUEST_INSTANCE_LEN + 1];

	/* How it is asked for. */
	bool wants_input;
	bool wants_report;

	/* What is known of it. */
	bool is_known;	   /* it has started, or was attached to */
	bool holds;	   /* the input, on the connection that there is now */
	bool stdin_closed; /* the program gets no more of it */
	uint64_t offset;   /* of the next byte of output */
	uint64_t skip;	   /* of which so many bytes were shown before */
	uint64_t ack_due;  /* an ack is due once this offset is reached */
	bool acks_by_hand; /* the caller says what has arrived: all below ACKED */
	bool ack_is_due;   /* and it is not sent yet */
	uint64_t acked;
	bool is_beyond_end; /* the agent's own words were counted as output */
	struct resend input;
	char words[DURABLE_WORDS_MAX]; /* of a refusal, so far */
};

/* What an ATTACH that was refused means to its host. */
enum durable_refusal {
	DURABLE_BUSY = 0, /* it may be tried again */
	DURABLE_BEYOND,	  /* so too, and is then asked for another offset */
	DURABLE_GONE,	  /* no such session is there (any more, or yet) */
	DURABLE_STALE,	  /* another agent answers than the one that ran it */
	DURABLE_REFUSED,  /* for another reason, which the words say */
};

/* The JSON of the next ATTACH, of malloc(3), of what is not known yet by its name; NULL: no
 * memory. */
char *durable_format_attach(const struct durable *durable, size_t *ret_len);

/* The connection has gone. */
void durable_part(struct durable *durable);

/* Takes REPORT, STATUS `started`, `attached` or `lost`; for `started` of a session that is not
 * durable nothing changes. */
void durable_take_report(struct durable *durable, const struct report *report);

/* Counts LEN bytes of output. Returns how many of the first of them are not to be shown. */
size_t durable_count_output(struct durable *durable, size_t len);

/* Keeps what an ATTACH that is not answered yet is told on STDERR. */
void durable_take_words(struct durable *durable, const uint8_t *text, size_t len);

/* What these mean, now that EXIT has come. */
enum durable_refusal durable_read_refusal(struct durable *durable);

#endif
