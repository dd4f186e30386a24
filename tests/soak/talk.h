/*
 * talk: the host's side of one connection to an agent that may die meanwhile. It knows
 * frames and no more, and shares no code with the agent.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SOAK_TALK_H
#define SOAK_TALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TALK_DATA_MAX (4u << 20)
#define TALK_TEXT_MAX 65536

/* After so long without an end, nobody will answer any more. */
#define TALK_PATIENCE_MS 60000

/* How a connection ended. */
enum talk_end {
	TALK_CLOSED, /* between two frames */
	TALK_BROKEN, /* within one */
	TALK_STUCK,  /* not at all */
};

struct talk {
	int fd;
	bool has_closed;
	uint8_t asked; /* type of the last frame that was sent */
	uint64_t deadline_ms;
	size_t head;
	size_t tail;
	uint8_t buffer[65536];
};

/* All that was answered on a connection, in the order of its kinds. */
struct answer {
	enum talk_end end;
	unsigned frames;
	unsigned after_last; /* frames behind an EXIT or FILE_ERR */
	uint8_t last;	     /* type of the last frame; 0: there was none */
	bool has_exit;
	int32_t code;
	int32_t signal;
	size_t data_len; /* of STDOUT and FILE_DATA, which data holds */
	size_t text_len; /* of all others but EXIT, which text holds, ended by 0 */
	uint8_t data[TALK_DATA_MAX];
	char text[TALK_TEXT_MAX + 1];
};

uint64_t talk_now_ms(void);

/* Connects to PORT of the agent at PATH. Returns 0, or -errno: -ECONNRESET where it was
 * closed in its handshake. */
int talk_open(struct talk *talk, const char *path, unsigned port);
void talk_close(struct talk *talk);

/* Sends bytes as they are; a frame; a frame of text. -EPIPE where the agent has closed. */
int talk_send_raw(struct talk *talk, const void *bytes, size_t len);
int talk_send(struct talk *talk, uint8_t type, const void *payload, size_t len);
int talk_say(struct talk *talk, uint8_t type, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Waits for the next frame and adds it to the answer. Returns its type, or 0 at the end. */
uint8_t talk_next(struct talk *talk, struct answer *answer);

/* Empties the answer; reads all there is, up to the agent's close. */
void talk_forget(struct answer *answer);
void talk_finish(struct talk *talk, struct answer *answer);

#endif
