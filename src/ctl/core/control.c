/*
 * control: one frame out, and all frames in until EXIT.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/core/control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "platform/clock.h"

/* An answer is a STATUS and words; a guest that goes on for ever is not listened to. */
#define CONTROL_ANSWER_MAX (2ul * VMM_GUEST_FRAME_MAX)

void
control_answer_done(struct control_answer *answer)
{
	free(answer->status);
	answer->status = NULL;
}

static void
control_take_words(struct control_answer *answer, const char *text)
{
	size_t len;

	(void)strlcat(answer->words, text, sizeof(answer->words));
	len = strlen(answer->words);
	while (len > 0 && answer->words[len - 1] == '\n')
		answer->words[--len] = '\0';
}

/* Takes the frame in TEXT, which it then owns. Returns 1 for EXIT, 0 for others, or
 * -EMSGSIZE. */
static int
control_take(struct control_answer *answer, uint8_t type, char *text, size_t len)
{
	int r = 0;

	if (type == VMM_GUEST_STATUS) {
		free(answer->status);
		answer->status = text;
		answer->status_len = len;
		return 0;
	}
	if (type == VMM_GUEST_STDERR)
		control_take_words(answer, text);
	if (type == VMM_GUEST_EXIT)
		r = frame_exit_parse((uint8_t *)text, len, &answer->exit) < 0 ? -EMSGSIZE : 1;
	free(text);
	return r;
}

int
control_ask_on(struct client *client, uint8_t type, const void *payload, size_t len,
    struct control_answer *ret, struct client_error *error)
{
	size_t received = 0;
	size_t text_len;
	char *text;
	int r = client_send(client, type, payload, len);

	*ret = (struct control_answer){ 0 };
	if (client_is_gone(r))
		r = 0;
	while (r == 0) {
		r = client_receive_whole(client, &type, &text, &text_len);
		if (r < 0)
			break;
		received += VMM_GUEST_HEADER_LEN + text_len;
		r = control_take(ret, type, text, text_len);
		if (r == 0 && received > CONTROL_ANSWER_MAX)
			r = -EMSGSIZE;
	}
	if (r < 0)
		client_explain(client, r, error);
	return r < 0 ? r : 0;
}

int
control_ask(const struct client_target *target, uint8_t type, const void *payload, size_t len,
    int timeout_ms, struct control_answer *ret, struct client_error *error)
{
	struct client CLEANUP_CLIENT client = CLIENT_INIT;
	uint64_t deadline = timeout_ms < 0 ? CLOCK_NEVER : clock_mono_ms() + (uint64_t)timeout_ms;
	int r;

	*ret = (struct control_answer){ 0 };
	r = client_open(&client, target, VMM_GUEST_EXEC_PORT,
	    timeout_ms < 0 ? CLIENT_CONNECT_MS : timeout_ms, error);
	if (r < 0)
		return r;
	/* Who has a limit knows that the answer may take so long. */
	if (timeout_ms >= 0)
		client_expect_nothing(&client);
	client.deadline_ms = deadline;
	return control_ask_on(&client, type, payload, len, ret, error);
}
