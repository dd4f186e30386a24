/*
 * errno_name: the errno that the agent's words begin with. Pure.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CLIENT_ERRNO_NAME_H
#define CLIENT_ERRNO_NAME_H

/* ENOENT of "ENOENT: /x"; 0 where they begin with none. */
int errno_name_parse(const char *words);

/* The same of a refusal: EBUSY of "busy: quiesced" too; EALREADY is none, by which a host knows
 * that an operation is under way. */
int errno_name_parse_refusal(const char *words);

#endif
