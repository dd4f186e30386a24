/*
 * hold_text: what is said of a guest that is held.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <string.h>

#include "ctl/command.h"
#include "ctl/hold_state.h"

#define HOLD_TEXT_MS_PER_S 1000
#define HOLD_TEXT_US_PER_S 1e6
#define HOLD_TEXT_STEPS_MAX 256

/* What a step is for. One that a later agent may have has its name. */
static const struct {
	const char *name;
	const char *failed;
} hold_text_steps[] = {
	{ "rest", "sessions did not come to rest" },
	{ "sessions", "programs could not be frozen" },
	{ "sync", "file systems could not be written out" },
	{ "fsfreeze", "a file system could not be frozen" },
};

static const char *
hold_text_failed_step(const char *name)
{
	for (size_t i = 0; i < sizeof(hold_text_steps) / sizeof(hold_text_steps[0]); i++) {
		if (strcmp(name, hold_text_steps[i].name) == 0)
			return hold_text_steps[i].failed;
	}
	return name;
}

void
hold_text_refusal(const struct quiesce_status *status, struct client_error *ret)
{
	const struct quiesce_step *last =
	    status->steps_count > 0 ? &status->steps[status->steps_count - 1] : NULL;

	if (last != NULL && last->error[0] != '\0')
		client_fail(ret, "the guest does not stand still: %s: %s",
		    hold_text_failed_step(last->name), last->error);
	else
		client_fail(ret, "the guest does not stand still: %s", status->error);
}

/* What was skipped, but for what lies on no disk; of ALL also what a snapshot has no part of. */
static void
hold_text_tell_skipped(const struct quiesce_status *status, bool all)
{
	for (size_t i = 0; i < status->skipped_count; i++) {
		const struct quiesce_place *place = &status->skipped[i];
		bool is_virtual = strcmp(place->why, "virtual") == 0;
		bool is_harmless =
		    strcmp(place->why, "read-only") == 0 || strcmp(place->why, "network") == 0;

		if (!is_virtual && (all || !is_harmless))
			(void)command_fail(
			    "not frozen: %s (%s): %s", place->path, place->type, place->why);
	}
}

static void
hold_text_warn(const struct hold_options *options, const struct quiesce_status *status)
{
	for (size_t i = 0; i < status->steps_count; i++) {
		if (status->steps[i].error[0] != '\0')
			(void)command_fail("%s: %s", hold_text_failed_step(status->steps[i].name),
			    status->steps[i].error);
	}
	if (options->request.is_all && status->frozen_count == 0)
		(void)command_fail("no file system is frozen: the guest has none that can be");
	if (options->request.is_all && !options->tells)
		hold_text_tell_skipped(status, false);
}

static void
hold_text_tell(const struct quiesce_status *status)
{
	char steps[HOLD_TEXT_STEPS_MAX] = "";
	uint64_t total_us = 0;
	size_t used = 0;

	for (size_t i = 0; i < status->steps_count && used < sizeof(steps); i++) {
		total_us += status->steps[i].us;
		used += (size_t)snprintf(steps + used, sizeof(steps) - used, "%s%s %.3f s",
		    i > 0 ? ", " : "", status->steps[i].name,
		    (double)status->steps[i].us / HOLD_TEXT_US_PER_S);
	}
	(void)command_fail("quiesced in %.3f s (%s)", (double)total_us / HOLD_TEXT_US_PER_S, steps);
	for (size_t i = 0; i < status->frozen_count; i++)
		(void)command_fail(
		    "frozen: %s (%s)", status->frozen[i].path, status->frozen[i].type);
	hold_text_tell_skipped(status, true);
}

void
hold_text_quiesced(const struct hold_options *options, const struct quiesce_status *status)
{
	hold_text_warn(options, status);
	if (options->tells)
		hold_text_tell(status);
	if (options->argv == NULL)
		(void)command_fail("the guest stands still, for at most %u s; Ctrl-C or the end of "
				   "input has it go on",
		    options->request.hold_ms / HOLD_TEXT_MS_PER_S);
}

/* Why it may not have been held until the end, for people. */
static const char *
hold_text_why(const struct hold *hold)
{
	static const char *const whys[] = {
		[QUIESCE_THAW_HOST] = "the agent took somebody else for us",
		[QUIESCE_THAW_GONE] = "what held it there was lost",
		[QUIESCE_THAW_EXPIRED] = "the time of --hold was over",
		[QUIESCE_THAW_THAW] = "somebody else asked for that",
		[QUIESCE_THAW_RESTORED] = "it was told that it is restored",
		[QUIESCE_THAW_SHUTDOWN] = "it goes down",
		[QUIESCE_THAW_OTHER] = "the agent's reason is not known here",
	};

	if (hold->has_thawed || hold->end == HOLD_THAWED)
		return whys[hold->why];
	if (hold->end == HOLD_SILENT)
		return "the agent does not answer any more";
	return hold->error.text;
}

void
hold_text_bad(struct hold *hold)
{
	bool is_known = hold->has_thawed || hold->end == HOLD_THAWED;

	if (hold->is_told)
		return;
	hold->is_told = true;
	(void)command_fail("the guest %s: %s",
	    is_known ? "went on too early" : "may have gone on too early", hold_text_why(hold));
}

void
hold_text_lost(const struct hold *hold)
{
	(void)command_fail("%s, as it may be over a snapshot", hold->error.text);
}

void
hold_text_good(const struct hold *hold)
{
	if (!hold->options->tells)
		return;
	if (hold->end == HOLD_THAWED)
		(void)command_fail("thawed after %.3f s",
		    (double)(hold->ended_ms - hold->began_ms) / HOLD_TEXT_MS_PER_S);
	else
		(void)command_fail("the agent does not answer any more, as it may be over a "
				   "snapshot: a guest that goes on there stands still for at most "
				   "%u s",
		    hold->options->request.hold_ms / HOLD_TEXT_MS_PER_S);
}
