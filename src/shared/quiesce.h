/*
 * quiesce: the words by which workers, the supervisor and the switch (supervisor/switch.h)
 * agree that the guest is to stand still, and from when on it need not. One such time has a
 * number; whoever sees that it is raised stands still.
 *
 * As all of the scoreboard it is advisory: a worker can write here whatever it likes. The
 * supervisor and the switch check what they read. What has to be thawed stands elsewhere.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHARED_QUIESCE_H
#define SHARED_QUIESCE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "protocol/quiesce_status.h"
#include "vmm-guest/protocol.h"

#define QUIESCE_PATHS_SIZE 8192
#define QUIESCE_ERROR_MAX 160
#define QUIESCE_PATH_MAX 256
#define QUIESCE_TYPE_MAX 24
#define QUIESCE_WHY_MAX 40
#define QUIESCE_PLACES_MAX 128

enum quiesce_phase {
	QUIESCE_NONE = 0,
	QUIESCE_CLAIMED, /* by a worker that is writing its order */
	QUIESCE_ASKED,	 /* the order stands */
	QUIESCE_RESTING, /* from here on the number is raised */
	QUIESCE_FREEZING,
	QUIESCE_HELD,
	QUIESCE_THAWING,
};

/* What the switch may be asked for. */
enum quiesce_ask_kind {
	QUIESCE_ASK_NONE = 0,
	QUIESCE_ASK_THAW,	/* the end */
	QUIESCE_ASK_THAW_FILES, /* file systems alone; sessions stay frozen */
	QUIESCE_ASK_HOLD,	/* the whole hold_ms again */
};

enum quiesce_report_step_name {
	QUIESCE_STEP_REST = 0,
	QUIESCE_STEP_SESSIONS,
	QUIESCE_STEP_SYNC,
	QUIESCE_STEP_FSFREEZE,
	QUIESCE_STEP_COUNT,
};

struct quiesce_order {
	bool freezes_sessions;
	bool syncs;
	bool is_all; /* file systems; else those of PATHS */
	bool holds_when_gone;
	uint32_t within_ms;
	uint32_t hold_ms;
	uint32_t paths_count;
	char paths[QUIESCE_PATHS_SIZE]; /* each with its NUL */
};

struct quiesce_report_step {
	uint64_t us;
	char error[QUIESCE_ERROR_MAX]; /* "": none */
};

struct quiesce_report_place {
	char path[QUIESCE_PATH_MAX]; /* cut */
	char type[QUIESCE_TYPE_MAX];
	char why[QUIESCE_WHY_MAX]; /* it was skipped; "": it is frozen */
};

struct quiesce_report {
	uint32_t steps_count; /* that were begun, in the order of their names */
	uint32_t places_count;
	struct quiesce_report_step steps[QUIESCE_STEP_COUNT];
	struct quiesce_report_place places[QUIESCE_PLACES_MAX];
};

struct quiesce {
	_Atomic uint64_t word;	 /* number, holder and phase */
	_Atomic uint64_t ask;	 /* number, kind and reason; 0: none */
	_Atomic uint32_t answer; /* how many asks but for the end were carried out */
	_Atomic uint32_t why; /* enum quiesce_thaw_why of the last end; OTHER: see quiesce_end() */
	_Atomic uint64_t hold_until_ms; /* CLOCK_BOOTTIME; 0: nothing is frozen yet */
	struct quiesce_order order;
	struct quiesce_report report;
};

/* ---- what everybody may see ---------------------------------------------- */

enum quiesce_phase quiesce_phase(const struct quiesce *quiesce);
uint64_t quiesce_number(const struct quiesce *quiesce);

/* Index + 1 of the slot whose worker asked for what is going on; 0: nobody, or it has died.
 * A worker may have written any other number there. */
uint32_t quiesce_holder(const struct quiesce *quiesce);

/* Whether workers are to stand still: for hot paths; and the same of its WORD, which has the
 * phase in its lowest byte. */
bool quiesce_is_raised(const struct quiesce *quiesce);

static inline bool
quiesce_word_is_raised(uint64_t word)
{
	return (uint8_t)word >= QUIESCE_RESTING;
}

/* ---- for workers --------------------------------------------------------- */

/* Lays ORDER down for the worker of the slot INDEX, if nobody has: the supervisor is to be
 * rung. Returns 0 with its number, or -EBUSY. */
int quiesce_claim(struct quiesce *quiesce, uint32_t index, const struct quiesce_order *order,
    uint64_t *ret_number);

/* Asks the switch for KIND, because of WHY: its bell is to be rung. Returns 0, also where the
 * end is asked for already; -ENODATA where the guest is not quiesced; -EBUSY where another
 * ask is under way. */
int quiesce_ask(struct quiesce *quiesce, enum quiesce_ask_kind kind, enum quiesce_thaw_why why);

/* The same, and rings BELL_FD, the switch's, and waits until that is done. Returns 0; as
 * quiesce_ask(), -ENODATA also where the end came first; or -ETIMEDOUT at DEADLINE_MS
 * (CLOCK_MONOTONIC). */
int quiesce_ask_and_wait(struct quiesce *quiesce, enum quiesce_ask_kind kind,
    enum quiesce_thaw_why why, int bell_fd, uint64_t deadline_ms);

/* Whether NUMBER has fallen. */
bool quiesce_is_over(const struct quiesce *quiesce, uint64_t number);

/* ---- for the supervisor and the switch ----------------------------------- */

/* The worker of the slot INDEX has died, or left: a claim without an order is taken back, and
 * what it asked for that is going on has no holder any more. */
void quiesce_bury(struct quiesce *quiesce, uint32_t index);

/* NUMBER is in PHASE from now on. */
void quiesce_set_phase(struct quiesce *quiesce, uint64_t number, enum quiesce_phase phase);

/* Takes out what is asked for of NUMBER. A reason that is not one becomes another. */
enum quiesce_ask_kind quiesce_take_ask(
    struct quiesce *quiesce, uint64_t number, enum quiesce_thaw_why *ret_why);

/* It is over: NUMBER falls. WHY is OTHER where the guest never came to be held: the report
 * says what failed. Whoever stands still is to be woken. */
void quiesce_end(struct quiesce *quiesce, uint64_t number, enum quiesce_thaw_why why);

/* The report of a step, and of a file system; texts are cut. WHY as in the report. */
void quiesce_report_step(struct quiesce_report *report, enum quiesce_report_step_name step,
    uint64_t us, const char *error);
void quiesce_report_place(
    struct quiesce_report *report, const char *path, const char *type, const char *why);

#endif
