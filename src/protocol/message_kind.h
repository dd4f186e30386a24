/*
 * message_kind: how members of one value are read and made. For message.c alone.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PROTOCOL_MESSAGE_KIND_H
#define PROTOCOL_MESSAGE_KIND_H

#include "protocol/message.h"

static inline void *
message_place(void *base, size_t offset)
{
	return (char *)base + offset;
}

static inline const void *
message_at(const void *base, size_t offset)
{
	return (const char *)base + offset;
}

/* Puts into BASE what is MEMBER's where it is not given. */
void message_set_initial(const struct message_member *member, void *base);

message_read_fn message_read_unsigned, message_read_signed, message_read_flag, message_read_real,
    message_read_text, message_read_name, message_read_word;
message_make_fn message_make_unsigned, message_make_signed, message_make_flag, message_make_real,
    message_make_text, message_make_bytes, message_make_word;
message_is_initial_fn message_is_initial_number, message_is_initial_text;

#endif
