/*
 * start: START's JSON, both ways. The agent parses it, the client writes it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PROTOCOL_START_H
#define PROTOCOL_START_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/json.h"
#include "vmm-guest/protocol.h"

#define START_TTY_WIDTH 80
#define START_TTY_HEIGHT 24

struct start_env {
	const char *name;
	const char *value;
};

/* Limits of a session; a member counts where its bit is in HAVE. */
enum start_limit {
	START_LIMIT_MEMORY_BYTES = 0,
	START_LIMIT_PIDS,
	START_LIMIT_CPU_PERCENT,
	START_LIMIT_NOFILE,
	START_LIMIT_CORE_BYTES,
	START_LIMIT_FSIZE_BYTES,
	START_LIMIT_COUNT
};

struct start_limits {
	uint8_t have; /* 1u << enum start_limit */
	uint64_t value[START_LIMIT_COUNT];
};

/* The member's name in "limits", such as "memory_bytes". */
const char *start_limit_name(enum start_limit limit);

/* Whose bytes are overwritten where there is no room for new ones. */
enum start_when_full {
	START_FULL_ATTACHED = 0, /* none that were not sent to the holder of the input */
	START_FULL_DROP,	 /* the oldest: the program never waits */
	START_FULL_WAIT,	 /* none that no OUTPUT_ACK has covered */
};

struct start_durable {
	uint32_t buffer_bytes;
	uint32_t keep_seconds;
	uint32_t alone_seconds; /* 0: for ever */
	enum start_when_full when_full;
};

/* What a START asks for. Strings are borrowed: after start_parse() from JSON,
 * and for start_format() from the caller. */
struct start_request {
	const char **argv; /* NULL at the end */
	size_t argc;
	struct start_env *env;
	size_t env_count;
	const char *working_dir; /* "": not given */
	const char *user;	 /* "": not given */
	bool tty;
	uint16_t tty_width;
	uint16_t tty_height;
	uint32_t timeout_seconds; /* 0: none */
	bool stdin_open;	  /* member "stdin" */
	uint32_t kill_grace_seconds;
	bool detach;
	bool report;
	struct start_limits limits;
	const char *name; /* "": not given */
	bool is_durable;
	struct start_durable durable; /* counts if IS_DURABLE */

	struct json_object *json; /* owns the strings after start_parse() */
};

/* Reads the LEN bytes of TEXT. Returns 0 with *RET for start_done(); -EINVAL
 * with ERROR filled in, which names the member; or -ENOMEM, with ERROR too. */
int start_parse(const char *text, size_t len, struct start_request *ret, struct json_error *error);

/* Frees what start_parse() made. */
void start_done(struct start_request *request);

/* Members of a request for start_format() that stand at the contract's defaults, in
 * a designated initializer. */
#define START_DEFAULTS                                                                             \
	.working_dir = "", .user = "", .tty_width = START_TTY_WIDTH,                               \
	.tty_height = START_TTY_HEIGHT, .stdin_open = true, .name = "",                            \
	.durable = { .buffer_bytes = VMM_GUEST_BUFFER_DEFAULT,                                     \
		.keep_seconds = VMM_GUEST_KEEP_SECONDS_DEFAULT }

/* The request as JSON in a new block that the caller frees; members that have
 * their default are left out. Strings must be UTF-8. NULL: no memory. */
char *start_format(const struct start_request *request, size_t *ret_len);

#endif
