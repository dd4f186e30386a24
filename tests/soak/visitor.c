/*
 * visitor: one client of the soak.
 *
 * SPDX-License-Identifier: MIT
 */
#include "visitor.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "vmm-guest/protocol.h"

#define VISITOR_SHOWN_MAX 20

/* The contract's: who is lost within a call that sends more leaves its host in doubt. */
#define VISITOR_DOUBT_LEN 32768

static const struct kind *const visitor_kinds[] = { kinds_exec, kinds_durable, kinds_file,
	kinds_rude };

#define VISITOR_TABLES (sizeof(visitor_kinds) / sizeof(visitor_kinds[0]))

uint32_t
visitor_draw(struct visitor *visitor, uint32_t limit)
{
	/* xorshift64*: the same seed, the same visits. */
	visitor->random ^= visitor->random >> 12;
	visitor->random ^= visitor->random << 25;
	visitor->random ^= visitor->random >> 27;
	return (uint32_t)((visitor->random * 0x2545f4914f6cdd1dull) >> 33) % limit;
}

enum outcome
visitor_complain(struct visitor *visitor, const char *format, ...)
{
	char text[1024];
	va_list arguments;

	if (atomic_fetch_add(&visitor->soak->shown, 1) >= VISITOR_SHOWN_MAX)
		return OUTCOME_WRONG;
	va_start(arguments, format);
	(void)vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	for (char *c = text; *c != '\0'; c++) {
		if (*c == '\n')
			*c = ' ';
	}
	(void)printf("# %s\n", text);
	return OUTCOME_WRONG;
}

bool
visitor_open(struct visitor *visitor, unsigned port, enum outcome *ret)
{
	int r = talk_open(&visitor->talk, visitor->soak->path, port);

	talk_forget(&visitor->answer);
	if (r == 0)
		return true;
	*ret = r == -ECONNRESET ? OUTCOME_TURNED_AWAY : OUTCOME_UNANSWERED;
	if (r != -ECONNRESET)
		(void)visitor_complain(visitor, "no connection: %s", strerror(-r));
	return false;
}

/* ---- what came ---------------------------------------------------------- */

/* Whether DATA has come as far as it came; and whole, if IS_WHOLE. */
static bool
visitor_has(const struct visitor *visitor, const void *data, size_t len, bool is_whole)
{
	size_t got = visitor->answer.data_len;

	return got <= len && (!is_whole || got == len) &&
	       (got == 0 || memcmp(visitor->answer.data, data, got) == 0);
}

/* Where there is no last frame. *RET is what became of it then: of LEN bytes that were to
 * come nobody may know how many have gone. */
static bool
visitor_has_last(struct visitor *visitor, bool has_last, size_t len, enum outcome *ret)
{
	struct answer *answer = &visitor->answer;

	if (has_last && answer->end == TALK_CLOSED)
		return true;
	if (answer->end == TALK_BROKEN || (answer->end == TALK_CLOSED && len > VISITOR_DOUBT_LEN)) {
		*ret = OUTCOME_BROKEN;
		return false;
	}
	/* The worker may have died between its handshake and its note of the port. */
	*ret = OUTCOME_TURNED_AWAY;
	if (answer->end == TALK_CLOSED && answer->frames == 0)
		return false;
	*ret = OUTCOME_UNANSWERED;
	(void)visitor_complain(visitor,
	    "%s: 0x%02x got %u frames, the last 0x%02x, %zu bytes of data, '%.200s'",
	    answer->end == TALK_STUCK ? "stuck" : "closed", visitor->talk.asked, answer->frames,
	    answer->last, answer->data_len, answer->text);
	return false;
}

/* A second EXIT is allowed where the worker died behind the first. */
static bool
visitor_goes_on(const struct answer *answer)
{
	return answer->after_last > 1 ||
	       (answer->after_last == 1 && answer->last != VMM_GUEST_EXIT);
}

/* Whether it is the word of a worker's loss: a bare EXIT where that was before the first
 * frame, since nobody knew then what had been asked. */
static bool
visitor_is_told(const struct answer *answer)
{
	if (answer->frames == 1 && answer->has_exit && answer->code == VMM_GUEST_EXIT_AGENT)
		return true;
	return strstr(answer->text, "worker lost") != NULL;
}

enum outcome
visitor_judge_exec(struct visitor *visitor, int32_t code, const void *data, size_t len)
{
	struct answer *answer = &visitor->answer;
	enum outcome outcome;

	if (!visitor_has(visitor, data, len, false))
		return visitor_complain(visitor,
		    "%zu bytes are not what they should be, at most %zu: '%.80s'", answer->data_len,
		    len, (const char *)answer->data);
	if (!visitor_has_last(visitor, answer->has_exit, len, &outcome))
		return outcome;
	if (visitor_goes_on(answer))
		return visitor_complain(visitor, "%u frames after EXIT", answer->after_last);
	if (visitor_is_told(answer))
		return OUTCOME_TOLD;
	if (answer->code == VMM_GUEST_EXIT_AGENT && strncmp(answer->text, "busy: ", 6) == 0)
		return OUTCOME_REFUSED;
	if (answer->code != code || !visitor_has(visitor, data, len, true))
		return visitor_complain(visitor,
		    "EXIT %d, not %d, after %zu bytes of %zu: '%.200s'", answer->code, code,
		    answer->data_len, len, answer->text);
	return OUTCOME_WELL;
}

enum outcome
visitor_judge_control(struct visitor *visitor, int32_t code)
{
	struct answer *answer = &visitor->answer;
	enum outcome outcome;

	if (!visitor_has_last(visitor, answer->has_exit, 0, &outcome))
		return outcome;
	if (answer->code == code)
		return OUTCOME_WELL;
	/* These have no words for it. */
	if (answer->code == -1 || answer->code == VMM_GUEST_EXIT_AGENT)
		return OUTCOME_TOLD;
	return visitor_complain(visitor, "EXIT %d, not %d", answer->code, code);
}

enum outcome
visitor_judge_file(struct visitor *visitor, uint8_t last, const void *data, size_t len)
{
	struct answer *answer = &visitor->answer;
	bool has_last = answer->last == last || answer->last == VMM_GUEST_FILE_ERR;
	enum outcome outcome;

	if (!visitor_has(visitor, data, len, false))
		return visitor_complain(
		    visitor, "%zu bytes of a file are not what they should be", answer->data_len);
	if (!visitor_has_last(visitor, has_last, len, &outcome))
		return outcome;
	if (strstr(answer->text, "worker lost") != NULL)
		return OUTCOME_TOLD;
	if (strncmp(answer->text, "EBUSY: busy: ", 13) == 0)
		return OUTCOME_REFUSED;
	if (answer->last != last || !visitor_has(visitor, data, len, true))
		return visitor_complain(visitor, "0x%02x after %zu bytes of %zu: '%.200s'",
		    answer->last, answer->data_len, len, answer->text);
	return OUTCOME_WELL;
}

/* ---- one after the other ------------------------------------------------ */

static const struct kind *
visitor_choose(struct visitor *visitor)
{
	unsigned total = 0;
	unsigned drawn;

	for (size_t i = 0; i < VISITOR_TABLES; i++) {
		for (const struct kind *kind = visitor_kinds[i]; kind->name != NULL; kind++)
			total += kind->weight;
	}
	drawn = visitor_draw(visitor, total);
	for (size_t i = 0; i < VISITOR_TABLES; i++) {
		for (const struct kind *kind = visitor_kinds[i]; kind->name != NULL; kind++) {
			if (drawn < kind->weight)
				return kind;
			drawn -= kind->weight;
		}
	}
	return visitor_kinds[0];
}

void *
visitor_run(void *argument)
{
	struct visitor *visitor = argument;
	struct soak *soak = visitor->soak;

	while (talk_now_ms() < soak->until_ms &&
	       atomic_fetch_add(&soak->sessions, 1) < soak->sessions_max) {
		const struct kind *kind = visitor_choose(visitor);
		enum outcome outcome = kind->visit(visitor);

		talk_close(&visitor->talk);
		(void)atomic_fetch_add(&soak->outcomes[outcome], 1);
		if (outcome >= OUTCOME_UNANSWERED)
			(void)visitor_complain(
			    visitor, "... that was %s of visitor %u", kind->name, visitor->number);
	}
	free(visitor);
	return NULL;
}
