/*
 * control: one frame out, and an answer.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/core/control.h"

void
control_answer_done(struct control_answer *answer)
{
	guest_close(&answer->guest);
}

int
control_finish(struct control_answer *answer, struct client_error *error)
{
	struct guest *guest = &answer->guest;
	const char *words;
	const void *data;
	size_t len;
	enum vmm_guest_event event;
	int r;

	while ((event = guest_wait(guest, &data, &len)) != VMM_GUEST_EVENT_END)
		answer->status_len = event == VMM_GUEST_EVENT_STATUS ? len : answer->status_len;
	if (vmm_guest_exit(guest->handle, &answer->exit.code, &answer->exit.signal) < 0) {
		r = guest_error(guest);
		guest_explain(guest, r, error);
		return r;
	}
	words = vmm_guest_refusal(guest->handle);
	answer->words = words != NULL ? words : "";
	answer->status = vmm_guest_answer(guest->handle);
	return 0;
}

int
control_ask_guest(
    struct control_answer *answer, const char *frame, const char *json, struct client_error *error)
{
	int r = guest_begin(&answer->guest, frame, json, error);

	return r < 0 ? r : control_finish(answer, error);
}

int
control_ask(const struct client_target *target, const char *frame, const char *json, int timeout_ms,
    struct control_answer *ret, struct client_error *error)
{
	int r;

	*ret = (struct control_answer){ 0 };
	r = guest_open(&ret->guest, target, error);
	if (r < 0)
		return r;
	if (timeout_ms >= 0)
		guest_limit(&ret->guest, timeout_ms);
	return control_ask_guest(ret, frame, json, error);
}
