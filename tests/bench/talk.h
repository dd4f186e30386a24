/*
 * talk: the host's side of one connection, no more than measuring needs.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef BENCH_TALK_H
#define BENCH_TALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "target.h"

#define TALK_BUFFER (256 * 1024 + 4096)

/* Connects to PORT and sends the first frame, with the CONNECT line in front where
 * there is one: what a host that does not wait for its answer needs one call for.
 * Returns the socket. */
int talk_open(
    const struct target *target, uint32_t port, uint8_t type, const void *payload, size_t len);

/* The same for a host that sends nothing more until its CONNECT line is answered. */
int talk_open_waiting(
    const struct target *target, uint32_t port, uint8_t type, const void *payload, size_t len);

/* talk_open() for START of a command line of JSON strings, such as "\"/bin/true\"". */
int talk_start(const struct target *target, const char *command, bool tty);
int talk_start_careful(const struct target *target, const char *command); /* reports, and EOF */
int talk_start_waiting(const struct target *target, const char *command);

/* Sends a frame whole. */
void talk_send(int fd, uint8_t type, const void *payload, size_t len);

/* Reads frames up to one of type LAST, and returns how many bytes of payload came
 * in frames of type DATA before it. CODE: what an EXIT must say. */
uint64_t talk_receive(int fd, uint8_t data, uint8_t last, int32_t code);

#endif
