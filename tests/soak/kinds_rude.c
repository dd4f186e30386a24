/*
 * kinds_rude: sessions by hosts that vanish, stall and lie.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "visitor.h"
#include "vmm-guest/protocol.h"

#define RUDE_PAUSE_US 30000
#define RUDE_STALL_US 300000

/* ---- who vanishes ------------------------------------------------------- */

static void
rude_pause(struct visitor *visitor, uint32_t most_us)
{
	(void)usleep(visitor_draw(visitor, most_us));
}

static enum outcome
vanish_running(struct visitor *visitor)
{
	enum outcome outcome;

	if (!visitor_open(visitor, VMM_GUEST_EXEC_PORT, &outcome))
		return outcome;
	(void)talk_say(&visitor->talk, VMM_GUEST_START, "{\"cmd\":[\"sleep\",\"600\"]}");
	rude_pause(visitor, RUDE_PAUSE_US);
	return OUTCOME_LEFT;
}

static enum outcome
vanish_reading(struct visitor *visitor)
{
	enum outcome outcome;

	if (!visitor_open(visitor, VMM_GUEST_EXEC_PORT, &outcome))
		return outcome;
	(void)talk_say(&visitor->talk, VMM_GUEST_START, "{\"cmd\":[\"cat\",\"%s\"]}",
	    visitor->soak->noise_path);
	(void)talk_next(&visitor->talk, &visitor->answer);
	return OUTCOME_LEFT;
}

static enum outcome
vanish_in_frame(struct visitor *visitor)
{
	static const uint8_t half[] = { VMM_GUEST_START, 100, 0, 0, 0, '{', '"' };
	enum outcome outcome;

	if (!visitor_open(visitor, VMM_GUEST_EXEC_PORT, &outcome))
		return outcome;
	(void)talk_send_raw(&visitor->talk, half, 1 + visitor_draw(visitor, sizeof(half)));
	return OUTCOME_LEFT;
}

/* The file stays as it was: who reads it next will see. */
static enum outcome
vanish_writing(struct visitor *visitor)
{
	enum outcome outcome;

	if (!visitor_open(visitor, VMM_GUEST_FILE_PORT, &outcome))
		return outcome;
	(void)talk_say(
	    &visitor->talk, VMM_GUEST_FILE_WRITE_REQ, "{\"path\":\"%s\"}", visitor->file);
	(void)talk_send(&visitor->talk, VMM_GUEST_FILE_DATA, visitor->soak->noise,
	    visitor_draw(visitor, NOISE_LEN / 8));
	return OUTCOME_LEFT;
}

static enum outcome
vanish_silent(struct visitor *visitor)
{
	enum outcome outcome;

	if (visitor_open(visitor, 0, &outcome))
		rude_pause(visitor, RUDE_PAUSE_US / 10);
	return OUTCOME_LEFT;
}

/* ---- who stalls --------------------------------------------------------- */

static enum outcome
stall_reading(struct visitor *visitor)
{
	enum outcome outcome;

	if (!visitor_open(visitor, VMM_GUEST_EXEC_PORT, &outcome))
		return outcome;
	(void)talk_say(&visitor->talk, VMM_GUEST_START, "{\"cmd\":[\"cat\",\"%s\"]}",
	    visitor->soak->noise_path);
	rude_pause(visitor, RUDE_STALL_US);
	talk_finish(&visitor->talk, &visitor->answer);
	return visitor_judge_exec(visitor, 0, visitor->soak->noise, NOISE_LEN);
}

static enum outcome
stall_writing(struct visitor *visitor)
{
	enum outcome outcome;

	if (!visitor_open(visitor, VMM_GUEST_EXEC_PORT, &outcome))
		return outcome;
	(void)talk_say(&visitor->talk, VMM_GUEST_START, "{\"cmd\":[\"cat\"]}");
	for (int i = 0; i < 5; i++) {
		(void)talk_send(&visitor->talk, VMM_GUEST_STDIN, visitor->soak->noise + i, 1);
		rude_pause(visitor, RUDE_PAUSE_US);
	}
	(void)talk_send(&visitor->talk, VMM_GUEST_EOF, NULL, 0);
	talk_finish(&visitor->talk, &visitor->answer);
	return visitor_judge_exec(visitor, 0, visitor->soak->noise, 5);
}

/* ---- who lies ----------------------------------------------------------- */

static enum outcome
lie_raw(struct visitor *visitor, unsigned port, const void *bytes, size_t len)
{
	enum outcome outcome;

	if (!visitor_open(visitor, port, &outcome))
		return outcome;
	(void)talk_send_raw(&visitor->talk, bytes, len);
	talk_finish(&visitor->talk, &visitor->answer);
	if (port == VMM_GUEST_FILE_PORT)
		return visitor_judge_file(visitor, VMM_GUEST_FILE_ERR, "", 0);
	return visitor_judge_exec(visitor, VMM_GUEST_EXIT_AGENT, "", 0);
}

static enum outcome
lie_first(struct visitor *visitor)
{
	static const uint8_t frame[] = { 0x3f, 3, 0, 0, 0, 'l', 'i', 'e' };

	return lie_raw(visitor, VMM_GUEST_EXEC_PORT, frame, sizeof(frame));
}

static enum outcome
lie_first_file(struct visitor *visitor)
{
	static const uint8_t frame[] = { VMM_GUEST_FILE_DATA, 3, 0, 0, 0, 'l', 'i', 'e' };

	return lie_raw(visitor, VMM_GUEST_FILE_PORT, frame, sizeof(frame));
}

static enum outcome
lie_json(struct visitor *visitor)
{
	static const uint8_t frame[] = { VMM_GUEST_START, 3, 0, 0, 0, '{', '[', '}' };

	return lie_raw(visitor, VMM_GUEST_EXEC_PORT, frame, sizeof(frame));
}

static enum outcome
lie_length(struct visitor *visitor)
{
	static const uint8_t frame[] = { VMM_GUEST_START, 0xff, 0xff, 0xff, 0xff };

	return lie_raw(visitor, VMM_GUEST_EXEC_PORT, frame, sizeof(frame));
}

static enum outcome
lie_later(struct visitor *visitor)
{
	static const uint8_t frame[] = { VMM_GUEST_STDIN, 1, 0, 0, 1 };
	enum outcome outcome;

	if (!visitor_open(visitor, VMM_GUEST_EXEC_PORT, &outcome))
		return outcome;
	(void)talk_say(&visitor->talk, VMM_GUEST_START, "{\"cmd\":[\"sleep\",\"600\"]}");
	(void)talk_send_raw(&visitor->talk, frame, sizeof(frame));
	talk_finish(&visitor->talk, &visitor->answer);
	return visitor_judge_exec(visitor, VMM_GUEST_EXIT_AGENT, "", 0);
}

static enum outcome
lie_upload(struct visitor *visitor)
{
	enum outcome outcome;

	if (!visitor_open(visitor, VMM_GUEST_FILE_PORT, &outcome))
		return outcome;
	(void)talk_say(
	    &visitor->talk, VMM_GUEST_FILE_WRITE_REQ, "{\"path\":\"%s\"}", visitor->file);
	(void)talk_send(&visitor->talk, VMM_GUEST_FILE_DATA, "lie", 3);
	(void)talk_send(&visitor->talk, VMM_GUEST_STDIN, "lie", 3);
	talk_finish(&visitor->talk, &visitor->answer);
	return visitor_judge_file(visitor, VMM_GUEST_FILE_ERR, "", 0);
}

/* There is no such port: closed without an answer. */
static enum outcome
lie_port(struct visitor *visitor)
{
	enum outcome outcome;

	if (!visitor_open(visitor, 9999, &outcome))
		return outcome == OUTCOME_TURNED_AWAY ? OUTCOME_WELL : outcome;
	return visitor_complain(visitor, "port 9999 was given");
}

const struct kind kinds_rude[] = {
	{ "vanish-running", 5, vanish_running },
	{ "vanish-reading", 3, vanish_reading },
	{ "vanish-in-frame", 3, vanish_in_frame },
	{ "vanish-writing", 4, vanish_writing },
	{ "vanish-silent", 3, vanish_silent },
	{ "stall-reading", 1, stall_reading },
	{ "stall-writing", 1, stall_writing },
	{ "lie-first", 2, lie_first },
	{ "lie-first-file", 2, lie_first_file },
	{ "lie-json", 3, lie_json },
	{ "lie-length", 2, lie_length },
	{ "lie-later", 3, lie_later },
	{ "lie-upload", 2, lie_upload },
	{ "lie-port", 2, lie_port },
	{ 0 },
};
