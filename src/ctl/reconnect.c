/*
 * SPDX-License-Identifier: MIT
 */
#include "ctl/reconnect.h"

#include <errno.h>
#include <stdlib.h>

#include "ctl/target.h"
#include "platform/clock.h"

#define RECONNECT_FIRST_MS 50
#define RECONNECT_MAX_MS 1000
#define RECONNECT_MS_PER_S 1000

/* A connection that lasted less, and brought nothing, was good for nothing. */
#define RECONNECT_LASTED_MS 1000

void
reconnect_rest(struct reconnect *reconnect, uint64_t progress, uint64_t now_ms)
{
	if (progress != reconnect->progress)
		backoff_reset(&reconnect->backoff);
	reconnect->progress = progress;
	reconnect->try_ms = CLOCK_NEVER;
	reconnect->answer_ms = CLOCK_NEVER;
	reconnect->give_up_ms = CLOCK_NEVER;
	reconnect->answered_ms = now_ms;
}

bool
reconnect_begin(struct reconnect *reconnect, uint64_t now_ms)
{
	bool is_news = reconnect->give_up_ms == CLOCK_NEVER;

	if (is_news)
		reconnect->give_up_ms = now_ms + (uint64_t)reconnect->seconds * RECONNECT_MS_PER_S;
	if (is_news && now_ms - reconnect->answered_ms >= RECONNECT_LASTED_MS)
		backoff_reset(&reconnect->backoff);
	reconnect->answer_ms = CLOCK_NEVER;
	reconnect->try_ms =
	    now_ms + backoff_next_ms(&reconnect->backoff, RECONNECT_FIRST_MS, RECONNECT_MAX_MS);
	return is_news;
}

uint64_t
reconnect_due_ms(const struct reconnect *reconnect)
{
	return clock_sooner(
	    reconnect->give_up_ms, clock_sooner(reconnect->try_ms, reconnect->answer_ms));
}

bool
reconnect_is_over(const struct reconnect *reconnect, uint64_t now_ms)
{
	return now_ms >= reconnect->give_up_ms;
}

int
reconnect_ask(struct client *client, const struct durable *session, struct client_error *error)
{
	size_t len;
	char *json = durable_format_attach(session, &len);
	int r;

	if (json == NULL) {
		client_fail(error, "out of memory");
		return -ENOMEM;
	}
	r = client_send(client, VMM_GUEST_ATTACH, json, len);
	free(json);
	return client_is_gone(r) ? 0 : r;
}

int
reconnect_try(struct reconnect *reconnect, struct client *client, const struct durable *session)
{
	int r = client_open(
	    client, target_agent(), VMM_GUEST_EXEC_PORT, RECONNECT_CONNECT_MS, &reconnect->error);

	if (r == 0) {
		r = reconnect_ask(client, session, &reconnect->error);
		if (r < 0)
			client_close(client);
	}
	if (r < 0) {
		(void)reconnect_begin(reconnect, clock_mono_ms());
		return -EAGAIN;
	}
	reconnect->try_ms = CLOCK_NEVER;
	reconnect->answer_ms = clock_mono_ms() + RECONNECT_ANSWER_MS;
	return 0;
}
