/*
 * guest_file: the requests of port 53, one connection each.
 *
 * All return 0, or -errno with ERROR filled in, fit for a person: the
 * errno that the agent named, -EBUSY where it had no worker to spare, -EREMOTEIO for
 * one that we do not know, -ECANCELED, or what client.h says.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_CORE_GUEST_FILE_H
#define CTL_CORE_GUEST_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "ctl/core/client.h"
#include "ctl/core/guest.h"
#include "protocol/file_request.h"
#include "vmm-guest/protocol.h"

/* ERROR says that the file for PATH is larger than the LIMIT of the agent. */
void guest_file_too_large(const char *path, uint64_t limit, struct client_error *error);

/* Begins a request of TYPE, on a handle of its own or on GUEST; its events are the caller's to
 * take. *RET is for guest_close() in any case. Returns also -EILSEQ where a name is not UTF-8. And:
 * how it has ended, once there was VMM_GUEST_EVENT_END. */
int guest_file_open(struct guest *ret, const struct client_target *target, uint8_t type,
    const struct file_request *request, struct client_error *error);
int guest_file_begin(struct guest *guest, uint8_t type, const struct file_request *request,
    struct client_error *error);
int guest_file_end(
    struct guest *guest, const struct file_request *request, struct client_error *error);

/* Makes a request of TYPE that is answered by one frame of type ANSWER. Its payload, where that
 * is not ACK, is in a new block that the caller frees, a NUL behind it; else RET_TEXT is NULL. */
int guest_file_ask(const struct client_target *target, uint8_t type,
    const struct file_request *request, uint8_t answer, char **ret_text, size_t *ret_len,
    struct client_error *error);

/* The same of one that is answered by ACK, on GUEST. */
int guest_file_ask_on(struct guest *guest, uint8_t type, const struct file_request *request,
    struct client_error *error);

/* WATCH: *RET, for guest_close() in any case, is where its events come from. */
int guest_file_watch(const struct client_target *target, const struct file_request *request,
    struct guest *ret, struct client_error *error);

/* The next FILE_EVENT of it, good until the one behind it. */
int guest_file_next_event(struct guest *guest, const struct file_request *request,
    const char **ret_text, size_t *ret_len, struct client_error *error);

/* READ: gives each piece to WRITE, with ARGUMENT, which returns 0 or -errno and then
 * fills in ERROR. */
struct guest_file_reader {
	int (*write)(void *argument, const uint8_t *data, size_t len, struct client_error *error);
	void *argument;
};
int guest_file_read(const struct client_target *target, const struct file_request *request,
    const struct guest_file_reader *reader, struct client_error *error);

/* WRITE: all that can be read from FD, called NAME in messages. COUNT, with ARGUMENT, is
 * told the bytes of each piece that is sent; and all of them as a negative number if that
 * fails in the end. */
struct guest_file_source {
	int fd;
	const char *name;
	bool tells_holes; /* it is a regular file, and the agent knows holes */
	void (*count)(void *argument, int64_t bytes);
	void *argument;
};
int guest_file_write(const struct client_target *target, const struct file_request *request,
    const struct guest_file_source *source, struct client_error *error);

#endif
