/*
 * SPDX-License-Identifier: MIT
 */
#include "protocol/diagnosis.h"

#include "protocol/message.h"

const char *const diagnosis_words[DIAGNOSIS_COUNT + 1] = {
	[DIAGNOSIS_OK] = "ok",
	[DIAGNOSIS_ODD] = "odd",
	[DIAGNOSIS_WRONG] = "wrong",
	[DIAGNOSIS_UNKNOWN] = "unknown",
};

#define AT(member) MESSAGE_AT(struct diagnosis_entry, member), .flags = MESSAGE_ALWAYS

static const struct message_member diagnosis_table[] = {
	{ "check", .kind = MESSAGE_TEXT, AT(check) },
	{ "verdict", .kind = MESSAGE_WORD, AT(verdict), .more = diagnosis_words },
	{ "seen", .kind = MESSAGE_BYTES, AT(seen) },
	{ "to_do", .kind = MESSAGE_TEXT, AT(to_do) },
};
static const struct message diagnosis_message = MESSAGE_OF(diagnosis_table);

char *
diagnosis_format(const struct diagnosis_entry *entry, size_t *ret_len)
{
	return message_format(&diagnosis_message, entry, ret_len);
}
