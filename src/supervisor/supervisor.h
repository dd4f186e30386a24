/*
 * supervisor: the process that keeps the pool, as PID 1 or as a service. It never
 * reads a byte that a host or a session sent.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SUPERVISOR_SUPERVISOR_H
#define SUPERVISOR_SUPERVISOR_H

#include <stdbool.h>
#include <stdint.h>

#include "platform/address.h"
#include "supervisor/shutdown.h"
#include "worker/worker.h"

/* The pool's size where the operator sets none: room for one program for each so many
 * bytes of the guest's memory, within bounds, and the reserved workers beside them. */
#define SUPERVISOR_BYTES_PER_PLACE (8ull * 1024 * 1024)
#define SUPERVISOR_PLACES_MIN 16
#define SUPERVISOR_PLACES_MAX 64

struct supervisor_settings {
	struct worker_settings worker;
	struct address listen;
	uint32_t workers; /* 0: by the guest's memory, and RESERVED */
	uint32_t reserved;
	uint64_t journals_max;	    /* bytes that all journals may hold */
	uint32_t ready_port;	    /* of the host, told when the agent serves; 0: nobody */
	struct address_port notify; /* told READY=1 then; port 0: nobody */
	const char *notify_socket;  /* so is this, of a service manager; or NULL */
	bool is_init;		    /* PID 1: it never exits, and ends with the machine */
	enum shutdown_action on_exit;
	bool ends_guest;     /* as a service: SHUTDOWN also ends the guest, by its own init */
	uint64_t started_us; /* CLOCK_MONOTONIC, of the agent */
};

/* Runs the agent. As a service it exits when it is told to (SIGTERM, SIGINT), or
 * where it can't begin. As PID 1 nothing but a shutdown ends it. */
_Noreturn void supervisor_run(const struct supervisor_settings *settings);

/* Serves one connection in this very process, without a fork; exits with status
 * 0, or 1 where it can't. */
_Noreturn void supervisor_run_once(const struct supervisor_settings *settings);

/* Blocks every signal, to be done before all else where a signal could end us;
 * supervisor_run() does it too. */
void supervisor_block_signals(void);

/* The number of workers for a guest of so many bytes of memory, RESERVED of which are
 * kept from programs. */
uint32_t supervisor_default_workers(uint64_t memory_bytes, uint32_t reserved);

/* How many of WORKERS are reserved where the operator wants WANTED. */
uint32_t supervisor_clamp_reserved(uint32_t wanted, uint32_t workers);

#endif
