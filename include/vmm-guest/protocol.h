/*
 * The wire contract between a microVM's host and the agent in its guest.
 *
 * This header is the part of it that C can say: frame types, sizes, limits, exit
 * codes. What the frames mean, and what either side promises, stands in PROTOCOL.md
 * beside it. It includes nothing but <stdint.h> and may be used by any host program.
 *
 * A frame, in both directions and on both ports:
 *
 *     u8 type | u32 length, little endian | length bytes of payload
 *
 * One operation a connection, but for `more` on port 53. The host speaks first; the agent closes
 * first, always, after its last frame. All integers are little endian.
 *
 * Who knows a frame: [1] hosts of the first day, [2] hosts of today,
 * [3] hosts that were written for this agent.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef VMM_GUEST_PROTOCOL_H
#define VMM_GUEST_PROTOCOL_H

#include <stdint.h>

/* The version that STATUS reports as "protocol". */
#define VMM_GUEST_PROTOCOL_VERSION 1

/* vsock: the guest listens on the first two, the host on the third. */
#define VMM_GUEST_EXEC_PORT 52
#define VMM_GUEST_FILE_PORT 53
#define VMM_GUEST_READY_PORT 51

/* The only CID that may talk to the agent: VMADDR_CID_HOST of vsock(7). */
#define VMM_GUEST_HOST_CID 2

/* ---- frames ---------------------------------------------------------- */

#define VMM_GUEST_HEADER_LEN 5

/* Largest legal length in a header; one more is a protocol error. */
#define VMM_GUEST_FRAME_MAX (16u * 1024 * 1024)

/* Largest JSON payload that is read at all. */
#define VMM_GUEST_JSON_MAX (1024u * 1024)

/* What a request's JSON holds at most, in it or below. */
#define VMM_GUEST_JSON_CONTAINERS_MAX 4096 /* objects and arrays */
#define VMM_GUEST_JSON_MEMBERS_MAX 16384
#define VMM_GUEST_JSON_VALUES_MAX 65536 /* all of them, itself too */

/* Undelivered standard input that the agent holds for a session. */
#define VMM_GUEST_STDIN_HELD_MAX (1024u * 1024)

/* Largest DATA payload that the agent sends; hosts may send up to FRAME_MAX. */
#define VMM_GUEST_DATA_MAX (256u * 1024)

/* Default largest file that WRITE takes, in bytes (configurable). */
#define VMM_GUEST_FILE_MAX (256u * 1024 * 1024)

/* What a WATCH may hold of the directories that it is on, in bytes. */
#define VMM_GUEST_WATCH_MAX (16u * 1024 * 1024)

/* Longest command text in a slot of STATUS, in bytes. */
#define VMM_GUEST_COMMAND_MAX 256

/* START's limits of less than this are none that a program could run under: it needs
 * its three descriptors, to be, and some time. */
#define VMM_GUEST_NOFILE_MIN 3
#define VMM_GUEST_PIDS_MIN 1
#define VMM_GUEST_CPU_PERCENT_MIN 1

/* A durable session: the bytes of its name, those of its output that are kept, for how
 * long its end is kept, how many of them there are. */
#define VMM_GUEST_NAME_MAX 64
#define VMM_GUEST_BUFFER_MIN 65536
#define VMM_GUEST_BUFFER_MAX 16777216
#define VMM_GUEST_BUFFER_DEFAULT 1048576
#define VMM_GUEST_KEEP_SECONDS_MIN 1
#define VMM_GUEST_KEEP_SECONDS_MAX 604800
#define VMM_GUEST_KEEP_SECONDS_DEFAULT 600
#define VMM_GUEST_DURABLE_MAX 32
#define VMM_GUEST_INSTANCE_LEN 32 /* hex digits of an agent's instance */

/* RESTORED: the bytes of a hostname (sethostname(2)), the hex digits of a machine-id. */
#define VMM_GUEST_HOSTNAME_MAX 64
#define VMM_GUEST_MACHINE_ID_LEN 32

/* RESTORED's variables, in bytes: each "NAME=value" and one more. */
#define VMM_GUEST_ENV_MAX (64u * 1024)

/* A guest that is quiesced: in how many ms all is to be done, for how long it holds at
 * most, and how many file systems one request names. */
#define VMM_GUEST_WITHIN_MS_DEFAULT 5000
#define VMM_GUEST_WITHIN_MS_MAX 60000
#define VMM_GUEST_HOLD_MS_DEFAULT 30000
#define VMM_GUEST_HOLD_MS_MAX 600000
#define VMM_GUEST_FSFREEZE_MAX 64

/* 01 to 3F are the other hosts' to extend; 40 to 4F and 60 to 6F are ours. */

/* Port 52: host to agent. */
enum vmm_guest_exec_request {
	VMM_GUEST_START = 0x01,	       /* [1] first: JSON */
	VMM_GUEST_STDIN = 0x02,	       /* [1] raw bytes; empty is not EOF */
	VMM_GUEST_RESIZE = 0x03,       /* [1] u16 columns, u16 rows */
	VMM_GUEST_EOF = 0x04,	       /* [1] end of standard input */
	VMM_GUEST_CLOCK_SYNC = 0x05,   /* [1] first: i64 seconds, u32 ns, entropy */
	VMM_GUEST_NET_RECONFIG = 0x06, /* [2] first: JSON */
	VMM_GUEST_SIGNAL = 0x07,       /* [2] i32 signal, 1..64 */
	VMM_GUEST_WAIT_PORT = 0x08,    /* [2] first: JSON */
	VMM_GUEST_STATUS_REQ = 0x40,   /* [3] first: empty or JSON */
	VMM_GUEST_SHUTDOWN = 0x41,     /* [3] first: JSON */
	VMM_GUEST_CONNECT = 0x42,      /* [3] first: JSON */
	VMM_GUEST_RESTORED = 0x43,     /* [3] first: JSON */
	VMM_GUEST_KILL = 0x44,	       /* [3] first: JSON */
	VMM_GUEST_ATTACH = 0x45,       /* [3] first: JSON */
	VMM_GUEST_DETACH = 0x46,       /* [3] empty */
	VMM_GUEST_FORGET = 0x47,       /* [3] first: JSON */
	VMM_GUEST_QUIESCE = 0x48,      /* [3] first: JSON */
	VMM_GUEST_THAW = 0x49,	       /* [3] first, or of a QUIESCE's host: JSON or empty */
	VMM_GUEST_OUTPUT_ACK = 0x4b,   /* [3] u64 offset */
};

/* Port 52: agent to host. */
enum vmm_guest_exec_reply {
	VMM_GUEST_STDOUT = 0x10, /* [1] raw bytes; a tty's whole output */
	VMM_GUEST_STDERR = 0x11, /* [1] raw bytes, or the agent's own words */
	VMM_GUEST_EXIT = 0x12,	 /* [1] last: i32 code, [2] i32 signal */
	VMM_GUEST_STATUS = 0x50, /* [3] JSON, only where the host asked */
};

/* Port 53: both directions. */
enum vmm_guest_file_frame {
	VMM_GUEST_FILE_WRITE_REQ = 0x20,   /* [1] JSON */
	VMM_GUEST_FILE_DATA = 0x21,	   /* [1] raw bytes */
	VMM_GUEST_FILE_DONE = 0x22,	   /* [1] ignored payload */
	VMM_GUEST_FILE_READ_REQ = 0x23,	   /* [1] JSON */
	VMM_GUEST_FILE_STAT_REQ = 0x24,	   /* [2] JSON */
	VMM_GUEST_FILE_LIST_REQ = 0x25,	   /* [2] JSON */
	VMM_GUEST_FILE_MKDIR_REQ = 0x26,   /* [2] JSON */
	VMM_GUEST_FILE_REMOVE_REQ = 0x27,  /* [2] JSON */
	VMM_GUEST_FILE_MOVE_REQ = 0x28,	   /* [2] JSON */
	VMM_GUEST_FILE_WATCH_REQ = 0x29,   /* [2] JSON */
	VMM_GUEST_FILE_ACK = 0x30,	   /* [1] empty */
	VMM_GUEST_FILE_ERR = 0x31,	   /* [1] last: UTF-8 text */
	VMM_GUEST_FILE_STAT = 0x32,	   /* [2] JSON, one entry; [3] in WRITE too: a hole */
	VMM_GUEST_FILE_LIST = 0x33,	   /* [2] JSON, array of entries */
	VMM_GUEST_FILE_EVENT = 0x34,	   /* [2] JSON, one event */
	VMM_GUEST_FILE_SYMLINK_REQ = 0x60, /* [3] JSON */
	VMM_GUEST_FILE_SET_REQ = 0x61,	   /* [3] JSON */
	VMM_GUEST_FILE_TREE_REQ = 0x62,	   /* [3] JSON */
	VMM_GUEST_FILE_LINK_REQ = 0x63,	   /* [3] JSON */
};

/* ---- payloads of fixed shape ------------------------------------------ */

#define VMM_GUEST_EXIT_LEN 8	    /* i32 code, i32 signal */
#define VMM_GUEST_RESIZE_LEN 4	    /* u16 columns, u16 rows */
#define VMM_GUEST_SIGNAL_LEN 4	    /* i32 signal */
#define VMM_GUEST_CLOCK_SYNC_LEN 12 /* i64 seconds, u32 nanoseconds */
#define VMM_GUEST_OUTPUT_ACK_LEN 8  /* u64 offset */
#define VMM_GUEST_NET_EXIT_LEN 32   /* EXIT, then six u32 microseconds */

/* Most entropy after the 12th byte of CLOCK_SYNC that is put to use. */
#define VMM_GUEST_ENTROPY_MAX 1024

/* ---- exit codes of the agent itself ------------------------------------ */

enum vmm_guest_exit_code {
	VMM_GUEST_EXIT_CONTROL_FAILED = -1, /* a control request failed */
	VMM_GUEST_EXIT_OK = 0,
	VMM_GUEST_EXIT_NOT_MADE = 1,	 /* WAIT_PORT, CONNECT, KILL, RESTORED, QUIESCE: no */
	VMM_GUEST_EXIT_AGENT = 125,	 /* the agent could not serve */
	VMM_GUEST_EXIT_CANNOT_RUN = 126, /* there, but can't be run */
	VMM_GUEST_EXIT_NOT_FOUND = 127,	 /* the program is not there */
	VMM_GUEST_EXIT_SIGNAL_BASE = 128 /* plus the signal's number */
};

/* ---- time limits of the contract, in milliseconds ---------------------- */

#define VMM_GUEST_DRAIN_QUIET_MS 100   /* a held pipe with nothing to read */
#define VMM_GUEST_DRAIN_MAX_MS 500     /* after the main process ended */
#define VMM_GUEST_HANGUP_GRACE_MS 2000 /* host gone: SIGHUP, then SIGKILL */
#define VMM_GUEST_LINGER_MS 100	       /* after the last frame */
#define VMM_GUEST_LINGER_SLOW_MS 10000 /* the same, for a slow host */
#define VMM_GUEST_SLOW_WINDOW_MS 1000  /* a write that waited so lately: slow */
#define VMM_GUEST_DISCARD_MS 30000     /* rest of a refused upload */
#define VMM_GUEST_MORE_MS 50	       /* silence before another request of a connection */

#endif
