/*
 * hold_state: what the files of hold (ctl/hold.h) share, and nobody else.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_HOLD_STATE_H
#define CTL_HOLD_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "ctl/core/guest.h"
#include "ctl/hold.h"
#include "protocol/quiesce_status.h"

enum hold_phase {
	HOLD_ASKED,
	HOLD_HELD,
	HOLD_THAWING, /* by us; or it was called off before it was held */
};

/* What has become of the connection. */
enum hold_end {
	HOLD_GOES_ON,
	HOLD_REFUSED, /* the guest never was held; ERROR says why */
	HOLD_THAWED,  /* because of WHY */
	HOLD_LOST,    /* while it was held; ERROR says how */
	HOLD_SILENT,  /* nothing has answered our THAW */
};

struct hold {
	struct hold_options *options;
	struct guest guest;
	struct client_error error;
	enum hold_phase phase;
	enum hold_end end;
	enum quiesce_thaw_why why;
	bool is_snapshot;
	bool was_held;
	bool has_thawed;      /* STATUS has said so */
	bool is_told;	      /* that it was not held all the while */
	bool waits_for_input; /* there is no program: the guest is held until that ends */
	uint64_t deadline_ms; /* of the agent's next answer */
	uint64_t began_ms;    /* CLOCK_MONOTONIC: it was held from here */
	uint64_t ended_ms;    /* until here somebody wanted that */
	pid_t peer;	      /* who listens where the agent is; 0: that is not known */
	pid_t pid;	      /* of the program, while it runs; else 0 */
	int status;	      /* of the program, or of none: as ours */
	int signal;	      /* that ends us; 0: none */
	bool was_interrupted; /* SIGINT came, and the program may have ended by it */
};

/* Asks for it. Returns 0, or -errno with hold.ERROR filled in. */
int hold_open(struct hold *hold);

/* Takes what has come. Begins the program when the guest is held. */
void hold_take_all(struct hold *hold);

/* The deadline is past. */
void hold_expire(struct hold *hold);

/* Nobody here wants the guest to be held any more. */
void hold_thaw(struct hold *hold);

/* The same, on another connection where that was lost over a snapshot. */
void hold_come_back(struct hold *hold);

/* In hold.c: the guest is held. */
void hold_begin(struct hold *hold);

/* Why it is not quiesced, as STATUS has it. */
void hold_text_refusal(const struct quiesce_status *status, struct client_error *ret);

/* It is: says what of that is not as it was asked for; what is waited for; and the rest where
 * that is wanted. */
void hold_text_quiesced(const struct hold_options *options, const struct quiesce_status *status);

/* Says, once, why the guest was not held all the while, or that this can't be known. */
void hold_text_bad(struct hold *hold);

/* The connection is lost, over a snapshot perhaps, and that changes nothing. */
void hold_text_lost(const struct hold *hold);

/* It was held: how long, where that is wanted. */
void hold_text_good(const struct hold *hold);

#endif
