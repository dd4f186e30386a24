/*
 * control_request: the JSON of SHUTDOWN, STATUS_REQ and KILL, both ways.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PROTOCOL_CONTROL_REQUEST_H
#define PROTOCOL_CONTROL_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/json.h"

enum control_action {
	CONTROL_REBOOT = 0,
	CONTROL_POWEROFF,
	CONTROL_HALT,
	CONTROL_AUTO, /* whatever ends this machine's monitor */
};

struct control_shutdown {
	enum control_action action;
	uint32_t grace_seconds;
};

struct control_status {
	bool guest; /* figures of the guest, and of each session, are asked for */
};

struct control_kill {
	uint64_t session; /* from 1 */
	int signal;	  /* 1 to 64 */
};

/* Read the LEN bytes of TEXT, which may be none for STATUS_REQ. Return 0; or -EINVAL or
 * -ENOMEM with ERROR filled in. */
int control_shutdown_parse(
    const char *text, size_t len, struct control_shutdown *ret, struct json_error *error);
int control_status_parse(
    const char *text, size_t len, struct control_status *ret, struct json_error *error);
int control_kill_parse(
    const char *text, size_t len, struct control_kill *ret, struct json_error *error);

/* The payloads, in new blocks that the caller frees; NULL: no memory. */
char *control_shutdown_format(const struct control_shutdown *request, size_t *ret_len);
char *control_status_format(const struct control_status *request, size_t *ret_len);
char *control_kill_format(const struct control_kill *request, size_t *ret_len);

#endif
