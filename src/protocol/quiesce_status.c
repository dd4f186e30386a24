/*
 * SPDX-License-Identifier: MIT
 */
#include "protocol/quiesce_status.h"

#include "protocol/message.h"

static const char *const quiesce_events[] = {
	[QUIESCE_EVENT_QUIESCED] = "quiesced",
	[QUIESCE_EVENT_THAWED] = "thawed",
	[QUIESCE_EVENT_OTHER] = "other",
	NULL,
};

static const char *const quiesce_thaw_whys[] = {
	[QUIESCE_THAW_HOST] = "host",
	[QUIESCE_THAW_GONE] = "gone",
	[QUIESCE_THAW_EXPIRED] = "expired",
	[QUIESCE_THAW_THAW] = "thaw",
	[QUIESCE_THAW_RESTORED] = "restored",
	[QUIESCE_THAW_SHUTDOWN] = "shutdown",
	[QUIESCE_THAW_OTHER] = "other",
	NULL,
};

#define BYTES(type, member)                                                                        \
	.kind = MESSAGE_BYTES, MESSAGE_AT(struct type, member), .flags = MESSAGE_ALWAYS

static const struct message_member quiesce_step_table[] = {
	{ "name", BYTES(quiesce_step, name) },
	{ "us", .kind = MESSAGE_UNSIGNED, MESSAGE_AT(struct quiesce_step, us),
	    .flags = MESSAGE_ALWAYS },
	{ "error", BYTES(quiesce_step, error) },
};
static const struct message quiesce_step = MESSAGE_OF(quiesce_step_table);

static const struct message_member quiesce_place_table[] = {
	{ "path", BYTES(quiesce_place, path) },
	{ "type", BYTES(quiesce_place, type) },
	{ "why", .kind = MESSAGE_BYTES, MESSAGE_AT(struct quiesce_place, why) },
};
static const struct message quiesce_place = MESSAGE_OF(quiesce_place_table);

#define QUIESCED (1u << QUIESCE_EVENT_QUIESCED)
#define THAWED (1u << QUIESCE_EVENT_THAWED)
#define AT(member) MESSAGE_AT(struct quiesce_status, member)
#define LIST(element, member)                                                                      \
	.kind = MESSAGE_OBJECTS, .size = sizeof(struct element),                                   \
	.offset = offsetof(struct quiesce_status, member),                                         \
	.beside = offsetof(struct quiesce_status, member##_count), .flags = MESSAGE_ALWAYS,        \
	.sets = QUIESCED, .more = &(element)

static const struct message_member quiesce_status_table[] = {
	{ "event", .kind = MESSAGE_WORD, AT(event), .flags = MESSAGE_NEEDED | MESSAGE_OPEN,
	    .more = quiesce_events },
	{ "error", .kind = MESSAGE_BYTES, AT(error), .sets = QUIESCED },
	{ "steps", LIST(quiesce_step, steps) },
	{ "frozen", LIST(quiesce_place, frozen) },
	{ "skipped", LIST(quiesce_place, skipped) },
	{ "why", .kind = MESSAGE_WORD, AT(why), .flags = MESSAGE_ALWAYS | MESSAGE_OPEN,
	    .sets = THAWED, .more = quiesce_thaw_whys },
};

/* The members of all events, and of those whose bit is in SET. */
static struct message
quiesce_status_message(unsigned set)
{
	struct message message = MESSAGE_OF(quiesce_status_table);

	message.set = set;
	return message;
}

char *
quiesce_status_format(const struct quiesce_status *status, size_t *ret_len)
{
	const struct message message = quiesce_status_message(1u << status->event);

	return message_format(&message, status, ret_len);
}

int
quiesce_status_parse(
    const char *text, size_t len, struct quiesce_status *ret, struct json_error *error)
{
	struct message message = quiesce_status_message(0);
	struct quiesce_status status = { .error = NULL };
	int r = message_parse(&message, text, len, &status, &status.json, error);

	if (r < 0)
		return r;
	message.set = 1u << status.event;
	message_read(&message, status.json, &status, error);
	if (error->code < 0) {
		quiesce_status_done(&status);
		return error->code;
	}
	*ret = status;
	return 0;
}

void
quiesce_status_done(struct quiesce_status *status)
{
	json_put(&status->json);
	*status = (struct quiesce_status){ 0 };
}
