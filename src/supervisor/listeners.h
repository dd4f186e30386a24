/*
 * listeners: the sockets that all workers accept on.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SUPERVISOR_LISTENERS_H
#define SUPERVISOR_LISTENERS_H

#include <stdint.h>

#include "platform/address.h"
#include "worker/worker.h"

struct listeners {
	struct worker_listener list[WORKER_LISTENERS_MAX];
	int count;
};

/* Opens what ADDRESS asks for: two vsock ports, or one Unix socket. Returns 0, or
 * -errno with nothing open. */
int listeners_open(struct listeners *listeners, const struct address *address, uint32_t exec_port,
    uint32_t file_port);

/* Closes them, and unlinks the Unix socket's file. */
void listeners_close(struct listeners *listeners, const struct address *address);

#endif
