/*
 * kinds_durable: sessions that outlive their connection, by hosts that behave. What the
 * worker that ran one had written stands, though it was killed; that of a reader may be
 * killed as often as it likes.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <string.h>

#include "visitor.h"
#include "vmm-guest/protocol.h"

/* So much is kept of the output, and no more is put out: nothing may be missing. */
#define DURABLE_BUFFER (256u * 1024)
/* As long as anybody is waited for. */
#define DURABLE_KEEP_SECONDS 60
/* More workers than are killed in a row. */
#define DURABLE_TRIES 20
#define DURABLE_NAME_MAX 64

/* Whether what has come of an ATTACH means: come back. The session goes on, or is kept. */
static bool
durable_must_come_back(const struct answer *answer)
{
	if (answer->end == TALK_STUCK)
		return false;
	return !answer->has_exit || (answer->frames == 1 && answer->code == VMM_GUEST_EXIT_AGENT);
}

/* All of the session NAME, LEN bytes of noise, or as much as its worker had written. */
static enum outcome
durable_fetch(struct visitor *visitor, const char *name, size_t len)
{
	const char *input = visitor_draw(visitor, 2) == 0 ? "true" : "false";
	enum outcome outcome;

	for (int i = 0; i < DURABLE_TRIES; i++) {
		if (!visitor_open(visitor, VMM_GUEST_EXEC_PORT, &outcome)) {
			if (outcome != OUTCOME_TURNED_AWAY)
				return outcome;
			continue;
		}
		(void)talk_say(&visitor->talk, VMM_GUEST_ATTACH,
		    "{\"name\":\"%s\",\"from\":0,\"input\":%s}", name, input);
		talk_finish(&visitor->talk, &visitor->answer);
		if (!durable_must_come_back(&visitor->answer))
			return visitor_judge_exec(visitor, 0, visitor->soak->noise, len);
	}
	return visitor_complain(visitor, "session '%s' can't be come back to", name);
}

/* Says FORGET of NAME, and takes all that is answered. Returns false with *RET where there is
 * nobody to say it to. */
static bool
durable_say_forget(struct visitor *visitor, const char *name, enum outcome *ret)
{
	if (!visitor_open(visitor, VMM_GUEST_EXEC_PORT, ret))
		return false;
	(void)talk_say(&visitor->talk, VMM_GUEST_FORGET, "{\"name\":\"%s\"}", name);
	talk_finish(&visitor->talk, &visitor->answer);
	return true;
}

/* Until it is forgotten: whatever is left is one less of those that the agent keeps. */
static enum outcome
durable_forget(struct visitor *visitor, const char *name)
{
	enum outcome worst = OUTCOME_WELL;

	for (int i = 0; i < DURABLE_TRIES; i++) {
		enum outcome outcome;

		if (durable_say_forget(visitor, name, &outcome)) {
			/* A worker that was lost may have done it; or it was given up for
			 * another, as what a host has fetched is where 32 are kept. */
			if (visitor->answer.has_exit &&
			    visitor->answer.code == VMM_GUEST_EXIT_NOT_MADE)
				return worst;
			outcome = visitor_judge_control(visitor, 0);
		}
		worst = outcome > worst ? outcome : worst;
		if (outcome != OUTCOME_TOLD && outcome != OUTCOME_TURNED_AWAY)
			break;
	}
	return worst;
}

/* Begins the session, whose host STAYS for all of it, or leaves when it has begun. Returns
 * whether there is one to come back to; else *RET is what became of it. */
static bool
durable_begin(
    struct visitor *visitor, const char *name, uint32_t len, bool stays, enum outcome *ret)
{
	if (!visitor_open(visitor, VMM_GUEST_EXEC_PORT, ret))
		return false;
	(void)talk_say(&visitor->talk, VMM_GUEST_START,
	    "{\"cmd\":[\"head\",\"-c\",\"%u\",\"%s\"],\"name\":\"%s\","
	    "\"durable\":{\"buffer_bytes\":%u,\"keep_seconds\":%u}}",
	    len, visitor->soak->noise_path, name, DURABLE_BUFFER, DURABLE_KEEP_SECONDS);
	if (!stays && talk_next(&visitor->talk, &visitor->answer) == VMM_GUEST_STATUS) {
		talk_close(&visitor->talk);
		return true;
	}
	talk_finish(&visitor->talk, &visitor->answer);
	*ret = visitor_judge_exec(visitor, 0, visitor->soak->noise, len);
	return *ret < OUTCOME_UNANSWERED &&
	       strstr(visitor->answer.text, "\"event\":\"started\"") != NULL;
}

static enum outcome
durable_visit(struct visitor *visitor, bool stays)
{
	uint32_t len = visitor_draw(visitor, DURABLE_BUFFER);
	char name[DURABLE_NAME_MAX];
	enum outcome outcome;
	enum outcome forgotten;

	(void)snprintf(
	    name, sizeof(name), "%u-%u", visitor->number, visitor_draw(visitor, UINT32_MAX));
	if (!durable_begin(visitor, name, len, stays, &outcome)) {
		/* There may be one, though its host was not told. */
		if (outcome < OUTCOME_UNANSWERED)
			(void)durable_say_forget(visitor, name, &forgotten);
		return outcome;
	}
	outcome = durable_fetch(visitor, name, len);
	if (outcome >= OUTCOME_UNANSWERED)
		return outcome;
	forgotten = durable_forget(visitor, name);
	return forgotten > outcome ? forgotten : outcome;
}

static enum outcome
durable_watched(struct visitor *visitor)
{
	return durable_visit(visitor, true);
}

static enum outcome
durable_left(struct visitor *visitor)
{
	return durable_visit(visitor, false);
}

const struct kind kinds_durable[] = {
	{ "durable", 4, durable_watched },
	{ "durable-left", 4, durable_left },
	{ 0 },
};
