/*
 * agent_address: where a host finds an agent.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CLIENT_AGENT_ADDRESS_H
#define CLIENT_AGENT_ADDRESS_H

#include "platform/address.h"

/* Reads TEXT, unix:PATH or vsock:CID. Returns 0; or -EINVAL with *RET_WHY, words that say why it is
 * not an address. */
int agent_address_parse(const char *text, struct address *ret, const char **ret_why);

#endif
