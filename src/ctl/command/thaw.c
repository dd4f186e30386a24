/*
 * thaw: "vmm-guest-ctl thaw": has a guest go on that stands still.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/command.h"
#include "ctl/core/guest_features.h"
#include "ctl/request.h"
#include "ctl/target.h"

static const struct options_row thaw_options[] = { OPTIONS_END };

/* It has no STATUS that tells more; who does not know it has a refusal for all he does not
 * know. */
static int
thaw_complain(const struct control_answer *answer)
{
	struct client_error ignored;

	(void)answer;
	if (guest_features_have(target_agent(), GUEST_FEATURES_QUIESCE, &ignored) != 0)
		return 0;
	return command_fail("the agent is too old to have its guest stand still");
}

static int
thaw_run(int count, char **operands)
{
	struct control_answer CLEANUP_ANSWER answer = { 0 };
	const struct request request = {
		.frame = "THAW",
		.refused = "not all is thawed yet; the agent goes on trying, its log in the guest "
			   "says why",
		.not_made = "the guest does not stand still",
		.complain = thaw_complain,
	};

	(void)count;
	(void)operands;
	return request_run(&request, &answer);
}

const struct command thaw_command = {
	.name = "thaw",
	.summary = "have a guest go on that stands still",
	.usage = "",
	.about = "Ends what 'vmm-guest-ctl quiesce' began, whoever did: file systems and programs\n"
		 "go on. It returns when they do.\n",
	.more = "\nExit status: 0, or 1 where the guest did not stand still.\n",
	.options = thaw_options,
	.run = thaw_run,
};
