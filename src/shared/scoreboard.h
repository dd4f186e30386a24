/*
 * scoreboard: what the workers tell of themselves, in memory that supervisor
 * and workers share. One slot a worker.
 *
 * It is advisory. A worker writes its own slot only. Of deaths the supervisor believes
 * wait(2) and its own kill(2) alone, and it checks everything that it reads here. STATUS
 * copies text before it looks at it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHARED_SCOREBOARD_H
#define SHARED_SCOREBOARD_H

#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/attachment.h"
#include "shared/journal.h"
#include "shared/quiesce.h"
#include "vmm-guest/protocol.h"

#define SCOREBOARD_WORKERS_MAX 1024

/* A whole number of pages on any kernel; what lies within is not shared. */
#define SCOREBOARD_OWN_SIZE (64 * 1024)
#define SCOREBOARD_CACHE_LINE 64
#define SCOREBOARD_PLACES 4
#define SCOREBOARD_USER_MAX 32
#define SCOREBOARD_KIND_MAX 16
#define SCOREBOARD_INSTANCE_LEN 16

/* How far a connection is. From this and from in_frame follows what the supervisor may
 * still send on the connection of a worker that died. */
enum slot_phase {
	SLOT_IDLE = 0,
	SLOT_ACCEPTED,	   /* a connection, not yet in the queue of duplicates */
	SLOT_OPEN,	   /* in the queue; no last frame has been sent */
	SLOT_LAST_SENDING, /* EXIT, FILE_ERR or the like is on its way; see struct slot_last */
	SLOT_LAST_SENT,	   /* it has gone out whole */
};

/* Which way of refusing the connection's kind has; see session.h. */
enum slot_reply_style {
	SLOT_REPLY_NONE = 0, /* nothing may be said (no port yet) */
	SLOT_REPLY_EXEC,     /* STDERR text, EXIT 125 */
	SLOT_REPLY_ATTACH,   /* the same; but EXIT is another session's: STATUS if it is lost */
	SLOT_REPLY_CONTROL,  /* EXIT -1 */
	SLOT_REPLY_FILE,     /* FILE_ERR text */
	SLOT_REPLY_UNKNOWN,  /* EXIT 125 alone: port 52, and no request has been read yet */
};

/* The last frame of a connection while it is on its way: if the worker dies meanwhile, the
 * supervisor sends the rest of it. */
#define SLOT_LAST_MAX 64

struct slot_last {
	uint8_t len;  /* of the frame, header and all; 0: too long to be kept */
	uint8_t sent; /* bytes of it that have gone, unless in_frame says that nobody knows */
	uint8_t bytes[SLOT_LAST_MAX];
};

/* So many times as long as for others a file system may take for what it flushes. */
#define SLOT_FLUSH_TIMES 10

/* So many FILE_ACKs may be held back. */
#define SLOT_HELD_MAX 32
#define SLOT_HELD_LEN ((size_t)SLOT_HELD_MAX * VMM_GUEST_HEADER_LEN)

/* How far the start of a session's program is. */
enum slot_spawning {
	SLOT_SPAWN_NONE = 0,
	SLOT_SPAWNING,
	SLOT_SPAWN_CUT, /* it took too long, and the supervisor has killed the child */
};

struct slot {
	_Alignas(SCOREBOARD_CACHE_LINE) _Atomic uint8_t phase; /* enum slot_phase */
	_Atomic uint8_t in_frame;	  /* a part of a frame may have gone, without the rest */
	_Atomic uint8_t reply_style;	  /* enum slot_reply_style */
	_Atomic uint8_t spawning;	  /* enum slot_spawning */
	_Atomic uint8_t admission;	  /* enum admission_class, which the worker has or takes */
	_Atomic uint8_t asks_end;	  /* its host asked for the end, and awaits an answer */
	_Atomic uint8_t has_to_rest;	  /* a quiesce waits until it rests, or is over */
	_Atomic uint8_t is_silent;	  /* its host has said nothing, and it can be parked */
	_Atomic int32_t child_pid;	  /* main process of the session, or 0 */
	_Atomic uint8_t is_flushing;	  /* its watchdog has SLOT_FLUSH_TIMES the time */
	_Atomic uint8_t held;		  /* FILE_ACKs that are owed, as their requests are done */
	_Atomic uint64_t session;	  /* number, from 1; 0: none */
	_Atomic uint64_t started_ms;	  /* CLOCK_MONOTONIC, when it was accepted */
	_Atomic uint64_t bytes_in;	  /* payload bytes from the host */
	_Atomic uint64_t bytes_out;	  /* payload bytes to the host */
	_Atomic uint64_t cgroup;	  /* the cgroup that the worker has, by number; 0: none */
	_Atomic uint64_t cgroup_spent_us; /* CPU that its earlier sessions had of that */
	_Atomic uint64_t signal_request;  /* KILL's word; see signal_request.h */
	_Atomic int32_t worker_pid;	  /* written by the supervisor; 0: no worker */
	_Atomic uint32_t sessions_served; /* by this worker */
	_Atomic uint32_t rests; /* low bits of the number of the quiesce that it stands still for */
	/* What STATUS shows of it; text that a reader copies and ends itself. */
	_Alignas(SCOREBOARD_CACHE_LINE) char kind[SCOREBOARD_KIND_MAX];
	char name[VMM_GUEST_NAME_MAX + 1]; /* the host's own */
	char user[SCOREBOARD_USER_MAX];
	char command[VMM_GUEST_COMMAND_MAX + 1];
	struct slot_last last; /* counts in phase SLOT_LAST_SENDING */
	/* Of a durable session; others look at all slots for theirs. */
	_Alignas(SCOREBOARD_CACHE_LINE) struct attachment attachment;
};

/* Counts since the agent's start; the process that sees an event counts it. */
struct scoreboard_counts {
	_Atomic uint64_t sessions; /* the last number given out */
	_Atomic uint64_t started;
	_Atomic uint64_t exited;
	_Atomic uint64_t signaled;
	_Atomic uint64_t timeouts;
	_Atomic uint64_t oom;
	_Atomic uint64_t refused;
	_Atomic uint64_t bad_requests;
	_Atomic uint64_t stalled; /* given up: a file of the guest's did not answer */
	_Atomic uint64_t clock_syncs;
};

#define SCOREBOARD_SIGNAL_MAX 65

struct scoreboard_deaths {
	_Atomic uint64_t total;
	_Atomic uint32_t by_signal[SCOREBOARD_SIGNAL_MAX];
	_Atomic int32_t last_signal;
	_Atomic int64_t last_unix_ms;
};

#define SCOREBOARD_DETACHED_MAX 256

enum scoreboard_detached_state {
	SCOREBOARD_FREE = 0,
	SCOREBOARD_FILLING,
	SCOREBOARD_RUNS,
};

/* A detached program; see detached.h. */
struct scoreboard_detached {
	_Atomic uint32_t state; /* enum scoreboard_detached_state */
	_Atomic int32_t pid;	/* 0: it has ended; others are left in the session cgroup */
	_Atomic uint64_t session;
	_Atomic uint64_t cgroup; /* as a slot's; so is signal_request */
	_Atomic uint64_t signal_request;
	uint64_t started_ms;
	char name[VMM_GUEST_NAME_MAX + 1];
	char user[SCOREBOARD_USER_MAX];
	char command[VMM_GUEST_COMMAND_MAX + 1];
};

/* How far a shutdown is; the supervisor's to say. */
enum scoreboard_stage {
	SCOREBOARD_RUNNING = 0,
	SCOREBOARD_ENDING,     /* the sessions are being ended */
	SCOREBOARD_LAST_WORDS, /* the sessions that asked for it may answer now */
	SCOREBOARD_REFUSED,    /* the same, but the guest stays up */
};

/* Which restore of its snapshot the guest is; see generation.h. */
struct scoreboard_generation {
	_Atomic uint32_t claimer; /* slot index + 1; 0: none */
	_Atomic uint8_t state;	  /* enum generation_state */
	_Atomic uint64_t number;
};

/* The variables that RESTORED gave; see given_env.h. Pages that nothing touches until then. */
struct scoreboard_given_env {
	_Atomic uint32_t writer; /* slot index + 1; 0: none */
	_Atomic uint64_t word;	 /* which text counts; 0: none */
	char texts[2][VMM_GUEST_ENV_MAX];
};

#define SCOREBOARD_GRACE_MS 5000

struct scoreboard_shutdown {
	_Atomic uint64_t asked;	   /* see scoreboard_ask_end() */
	_Atomic uint32_t stage;	   /* enum scoreboard_stage */
	_Atomic uint32_t grace_ms; /* between SIGTERM and SIGKILL */
};

struct scoreboard {
	/* Fixed before the first fork; from then on each process has its own copy. A worker
	 * that overwrites it can't lead another process out of the arrays that these bound. */
	union {
		struct {
			uint32_t workers; /* N */
			uint32_t reserved;
			int32_t supervisor_pid;
			int32_t bell_fd;	 /* rung when word was left for the supervisor */
			int32_t quiesce_bell_fd; /* the same for the switch; see quiesce.h */
			uint64_t started_ms;	 /* CLOCK_MONOTONIC */
			/* Durable sessions; see journal.h. */
			uint8_t instance[SCOREBOARD_INSTANCE_LEN]; /* drawn at the agent's start */
			uint64_t journal_bytes_max; /* that all of them may hold together */
			uint32_t journal_count;	    /* at most JOURNAL_COUNT; 0: there are none */
			int32_t journal_fds[JOURNAL_COUNT];
		};
		char own[SCOREBOARD_OWN_SIZE];
	};
	_Atomic uint64_t ready_us;	   /* from the agent's start until it listened */
	_Atomic uint8_t host_time_is_told; /* the PTP device is ignored; see host_clock.h */
	_Atomic uint8_t has_silent;	   /* there may be slots that are silent */
	_Atomic uint32_t parked;	   /* connections that the supervisor keeps */
	struct scoreboard_counts counts;
	struct scoreboard_deaths deaths;
	struct scoreboard_shutdown shutdown;
	struct scoreboard_generation generation;
	/* Words of the control lane, by enum admission_class: slot index + 1, or 0 for free. */
	_Atomic uint32_t places[SCOREBOARD_PLACES][SCOREBOARD_WORKERS_MAX];
	struct scoreboard_detached detached[SCOREBOARD_DETACHED_MAX];
	struct journals journals;
	struct scoreboard_given_env given_env;
	struct quiesce quiesce;
	struct slot slots[];
};

/* A temporary name that a worker's file session has given, or is about to. If the worker
 * dies, the next one of the slot looks what became of it. Written and read by
 * session/file/temporary.c alone. */
struct scoreboard_temporary {
	_Atomic uint32_t standing; /* whether the rest is valid */
	uint64_t number;	   /* in the name */
	uint64_t dev;
	uint64_t ino; /* 0: not known yet */
	uint64_t dir_dev;
	uint64_t dir_ino;
	char dir[PATH_MAX]; /* where that directory was */
};

/* The record of the slot of INDEX. It stands behind the slots, in pages that
 * nothing touches until a file is replaced. */
struct scoreboard_temporary *scoreboard_temporary(struct scoreboard *board, uint32_t index);

/* A new scoreboard for WORKERS slots, all zero, in memory that fork(2) shares but
 * for its first members; and the bells of supervisor and switch (platform/bell.h). Never
 * freed. Returns 0 with *RET, or -errno. */
int scoreboard_new(uint32_t workers, uint32_t reserved, struct scoreboard **ret);

/* Puts a slot back to idle: phase, session, child, texts and attachment. */
void scoreboard_clear_slot(struct slot *slot);

/* The frames of COUNT answers that were held back, SLOT_HELD_MAX at most, for whoever sends them:
 * the worker, or the supervisor in its place. Returns their length. */
size_t slot_format_held(uint8_t count, uint8_t frames[SLOT_HELD_LEN]);

/* The number of slots that are idle: a worker is there and has no connection. */
uint32_t scoreboard_count_idle(const struct scoreboard *board);

/* Leaves word that the end is asked for: ACTION, of enum control_action, and how many ms
 * lie between SIGTERM and SIGKILL. A single atomic word: a worker that dies leaves
 * the whole request or none of it. Does nothing where another has asked before. */
void scoreboard_ask_end(struct scoreboard *board, uint8_t action, uint32_t grace_ms);

/* Whether the end is asked for; if so, what with. */
bool scoreboard_is_end_asked(
    const struct scoreboard *board, uint8_t *ret_action, uint32_t *ret_grace_ms);

#endif
