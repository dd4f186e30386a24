/*
 * worker: a process of the pool. It accepts on the shared listeners, serves one
 * session, and accepts again. The supervisor knows this one name of it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "shared/scoreboard.h"
#include "shared/session_settings.h"

#define WORKER_LISTENERS_MAX 2

/* What a connection that comes by a listener is for. */
enum worker_port {
	WORKER_PORT_EXEC,
	WORKER_PORT_FILE,
	WORKER_PORT_BY_HANDSHAKE, /* its CONNECT line says it */
};

struct worker_listener {
	int fd; /* non-blocking; shared by all workers */
	enum worker_port port;
};

struct worker_settings {
	struct session_settings session;
	bool any_peer;	    /* connections of others than the host are served (tests) */
	uint32_t exec_port; /* numbers that the handshake may name */
	uint32_t file_port;
	uint32_t recycle; /* sessions after which a worker leaves; 0: never */
	int first_frame_timeout_ms;
	bool is_protected; /* from the OOM killer */
};

/* Everything is borrowed for the worker's life. */
struct worker_options {
	const struct worker_settings *settings;
	struct scoreboard *board;
	uint32_t index; /* of its slot */
	struct worker_listener listeners[WORKER_LISTENERS_MAX];
	int listeners_count;
	int queue_read_fd; /* of the queue of duplicates, see fdpass.h; -1: none */
	int queue_write_fd;
	int parking_fd;	 /* see shared/parking.h; shared by all workers; -1: none */
	int watchdog_fd; /* see watchdog.h; -1: none */
};

/* Runs until it is told to leave (session/stop.h), has served as many sessions as it may,
 * or finds that a session left something behind; then it exits with status 0. */
_Noreturn void worker_run(const struct worker_options *options);

/* For a debugger and the sanitizers: waits for one connection, serves it in this
 * process, and returns 0, or -errno. */
int worker_run_once(const struct worker_options *options);

#endif
