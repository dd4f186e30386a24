/*
 * env_member: variables of an environment as a member: an object of strings. For protocol/
 * alone, as message.h.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PROTOCOL_ENV_MEMBER_H
#define PROTOCOL_ENV_MEMBER_H

#include "protocol/message.h"

/* A kind of MESSAGE_CUSTOM: the row's offset is that of a struct start_env *, with their number, a
 * size_t, right behind it. What is read is the tree's. */
extern const struct message_kind env_member;

#define ENV_MEMBER_AT(type, env) .kind = MESSAGE_CUSTOM, MESSAGE_AT(type, env), .more = &env_member

/* That the number stands where it is looked for. */
#define ENV_MEMBER_ASSERT(type, env, count)                                                        \
	_Static_assert(offsetof(type, count) == offsetof(type, env) + sizeof(((type *)NULL)->env), \
	    "the number of variables stands right behind them")

#endif
