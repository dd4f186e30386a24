/*
 * visitor: one client of the soak. It opens sessions, one after the other, of all kinds
 * and by lot, and holds each byte that comes against what it must be.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SOAK_VISITOR_H
#define SOAK_VISITOR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "talk.h"

/* What came of a session. */
enum outcome {
	OUTCOME_WELL,
	OUTCOME_TOLD,	     /* that its worker was lost */
	OUTCOME_REFUSED,     /* in words, for want of a worker */
	OUTCOME_TURNED_AWAY, /* closed in its handshake, or right behind it */
	OUTCOME_BROKEN,	     /* ended in the middle of a frame, or of much data */
	OUTCOME_LEFT,	     /* by us, on purpose */
	OUTCOME_UNANSWERED,  /* closed without its last frame, or never */
	OUTCOME_WRONG,
	OUTCOMES,
};

/* What all visitors share. */
struct soak {
	const char *path;   /* of the agent's socket */
	const char *folder; /* in which they write */
	unsigned echo_port;
	uint64_t sessions_max;
	uint64_t until_ms;
	_Atomic uint64_t sessions;
	_Atomic uint64_t outcomes[OUTCOMES];
	_Atomic unsigned shown; /* of what went wrong */
	uint8_t *noise;		/* of NOISE_LEN, in the file NOISE too */
	char noise_path[256];
};

#define NOISE_LEN (1u << 20)

struct visitor {
	struct soak *soak;
	unsigned number;
	uint64_t random;
	struct talk talk;
	struct answer answer;
	char file[256]; /* this visitor's own */
	char directory[256];
	size_t file_start; /* what it holds: so much noise, from there; FILE_NONE: nothing */
	size_t file_len;
};

#define FILE_NONE SIZE_MAX

/* A number below LIMIT. */
uint32_t visitor_draw(struct visitor *visitor, uint32_t limit);

/* Says what went wrong, for the first of them. Returns OUTCOME_WRONG. */
enum outcome visitor_complain(struct visitor *visitor, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Opens a session. Returns whether that went well; else *RET is what came of it. */
bool visitor_open(struct visitor *visitor, unsigned port, enum outcome *ret);

/* What has become of a session whose answer is in: it must be CODE and LEN bytes of DATA
 * from a program; LAST from a file request, with LEN bytes of DATA before it; or the
 * loss of the worker, told as the kind is told. */
enum outcome visitor_judge_exec(
    struct visitor *visitor, int32_t code, const void *data, size_t len);
enum outcome visitor_judge_file(
    struct visitor *visitor, uint8_t last, const void *data, size_t len);
enum outcome visitor_judge_control(struct visitor *visitor, int32_t code);

/* The kinds of session: kinds_*.c. */
struct kind {
	const char *name;
	unsigned weight;
	enum outcome (*visit)(struct visitor *visitor);
};

extern const struct kind kinds_durable[];
extern const struct kind kinds_exec[];
extern const struct kind kinds_file[];
extern const struct kind kinds_rude[];

/* Serves as the thread's function: sessions until the soak has enough. Takes and frees a
 * struct visitor. */
void *visitor_run(void *visitor);

#endif
