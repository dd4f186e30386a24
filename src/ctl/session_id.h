/*
 * session_id: which durable session is meant.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_SESSION_ID_H
#define CTL_SESSION_ID_H

#include <stdint.h>

#include "protocol/attach_request.h"
#include "vmm-guest/protocol.h"

/* By number where that is not 0, else by name; and of which agent, once known. */
struct session_id {
	uint64_t number;
	char name[VMM_GUEST_NAME_MAX + 1];
	char instance[VMM_GUEST_INSTANCE_LEN + 1];
};

/* What an ATTACH or a FORGET of it begins with; its strings are ID's. */
static inline struct attach_request
session_id_request(const struct session_id *id)
{
	return (struct attach_request){
		.has_session = id->number != 0,
		.session = id->number,
		.name = id->number != 0 ? NULL : id->name,
		.has_instance = id->instance[0] != '\0',
		.instance = id->instance,
	};
}

#endif
