/*
 * libvmmguest: the host's side of the contract with the agent in a microVM's guest.
 *
 * A handle speaks to one agent, one operation at a time; a program may have any number of
 * handles. An operation is a request of PROTOCOL.md, named by its frame, with its JSON as
 * that text has it: "START" runs a program, "FILE_READ_REQ" fetches a file. There are three
 * ways to use it, from the simplest down, and they may be mixed:
 *
 * 1. Blocking: vmm_guest_run(), vmm_guest_put(), vmm_guest_get(), vmm_guest_request() and
 *    vmm_guest_wait_ready() do the whole of an operation.
 *
 *        struct vmm_guest *guest = vmm_guest_new("unix:/run/vm/v.sock");
 *        int code = vmm_guest_run(guest, "{\"cmd\":[\"uname\",\"-r\"]}", NULL, 0);
 *        size_t len;
 *        const void *out = vmm_guest_output(guest, VMM_GUEST_EVENT_STDOUT, &len);
 *        code < 0 ? (void)puts(vmm_guest_error_text(guest)) : (void)fwrite(out, 1, len, stdout);
 *
 * 2. In an event loop: vmm_guest_begin(), then vmm_guest_step() whenever poll(2) finds what
 *    vmm_guest_events() asks of vmm_guest_fd(), or vmm_guest_timeout_ms() is over, and
 *    vmm_guest_next() until there is no more. A caller that has input writes as much as there is
 *    room for before it waits. None of these waits.
 *
 * 3. With bytes that the caller carries himself: a handle without an address opens nothing.
 *    What vmm_guest_pending() shows goes out, what comes in is given to vmm_guest_feed(), the
 *    end of the connection is told to vmm_guest_hangup().
 *
 * What it does on the way, which a host that speaks the protocol by itself has to get right:
 *
 * - STDIN under back pressure: vmm_guest_write() takes what there is room for, no more, and
 *   signals and sizes overtake what waits.
 * - A program that ends before it has read its input is not an error: what can't be sent any
 *   more is dropped, and what the agent has said is read to the end. The connection is closed
 *   as soon as the last frame is there, so that no worker of the agent lingers for it.
 * - A terminal: START's "tty", vmm_guest_resize(); its one stream is STDOUT.
 * - FILE_ERR amid an upload ends the operation with the agent's reason at once.
 * - Many files on one connection: "more".
 * - A guest that hangs: "answer_ms" and "timeout_ms" of vmm_guest_set().
 * - The agent's own refusal is an error (-EBUSY: it may be tried again), a program's exit code
 *   is not, be it 125: the two are told apart by STATUS `started`, which is always asked for.
 * - While the VM boots nobody answers: "retry_ms", vmm_guest_wait_ready().
 * - The handshake of a Firecracker or Cloud Hypervisor device on `unix:`, and none on `vsock:`.
 *   The request goes with it, which saves a way there and back; with "retry_ms" it waits for the
 *   answer, so that no program is started twice.
 * - A durable session is come back to when its connection is lost, without a byte of input or
 *   output lost or doubled: "reconnect_ms".
 * - Whatever a guest sends, a handle takes no more memory than twice "json_max", "output_max" for
 *   each stream and 10 MiB; a durable session's input takes 4 MiB and a little, to be sent again.
 *
 * There is no global state; nothing is logged, no signal is raised or caught (SIGPIPE neither),
 * no thread or process is made, no variable of the environment read. All descriptors are
 * close-on-exec. A handle is used by one thread at a time. Texts and bytes that a function
 * returns are the handle's, and good until the next call with that handle unless it says more.
 * Strings are UTF-8.
 *
 * A function that can fail returns -errno, and vmm_guest_error_text() then says what happened.
 *
 * Of a version 0.x neither names nor numbers are promised; the shared object's name has the
 * version in it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef VMM_GUEST_CLIENT_H
#define VMM_GUEST_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define VMM_GUEST_API __attribute__((visibility("default")))

struct vmm_guest;

/* What vmm_guest_next() finds. Numbers are not used again for something else. */
enum vmm_guest_event {
	VMM_GUEST_EVENT_NONE = 0,    /* nothing (yet) */
	VMM_GUEST_EVENT_CONNECT = 1, /* without an address: make a connection to vmm_guest_port() */
	VMM_GUEST_EVENT_STDOUT = 2,  /* bytes; of CONNECT what its peer says, none: it ends */
	VMM_GUEST_EVENT_STDERR = 3,  /* bytes */
	VMM_GUEST_EVENT_STATUS = 4, /* the JSON of a STATUS: `started`, `attached`, `exited`, … */
	VMM_GUEST_EVENT_DATA = 5,   /* bytes of a file; none: its end, in the answer of a TREE */
	VMM_GUEST_EVENT_ENTRY = 6,  /* the JSON of a FILE_STAT, or the array of a FILE_LIST */
	VMM_GUEST_EVENT_READY = 7,  /* the WATCH stands */
	VMM_GUEST_EVENT_CHANGE = 8, /* the JSON of a FILE_EVENT */
	VMM_GUEST_EVENT_LEFT = 9,   /* last: the durable session goes on without us, as asked */
	VMM_GUEST_EVENT_END = 10,   /* last: vmm_guest_result() says how it ended */
	VMM_GUEST_EVENT_QUIET = 11, /* nothing of an answer for "quiet_ms"; it is gone on with */
	VMM_GUEST_EVENT_LOST = 12,  /* a durable session's connection, why in words: another one is
				     * made, and STATUS `attached` comes once it is there;
				     * `started`, where "own_name" has it started again */
};

/* How far an operation has come. */
enum vmm_guest_reached {
	VMM_GUEST_REACHED_NOTHING = 0, /* there was no connection */
	VMM_GUEST_REACHED_DEVICE = 1,  /* a Unix socket has taken it */
	VMM_GUEST_REACHED_AGENT = 2,   /* the connection is one into the guest: it is being asked */
	VMM_GUEST_REACHED_ANSWER = 3,  /* something has come of an answer */
};

/* ---- the handle ------------------------------------------------------------ */

/* A handle for the agent at ADDRESS, "unix:PATH" (the Unix socket of a VM's vsock device) or
 * "vsock:CID"; NULL: the caller makes the connections and carries the bytes. It is not looked
 * at before an operation begins. The caller owns the handle until vmm_guest_free(). NULL:
 * no memory. */
VMM_GUEST_API struct vmm_guest *vmm_guest_new(const char *address);

/* Ends what is under way, as vmm_guest_abort() does, and frees all that the handle has. NULL is
 * no matter. */
VMM_GUEST_API void vmm_guest_free(struct vmm_guest *guest);

/* Sets an option, for the operations that are begun from then on:
 *
 *   connect_ms    how long one try to connect may take; 10000
 *   retry_ms      for how long it is tried again where nobody listens (yet), as while a VM
 *                 boots; 0: once
 *   answer_ms     how long the agent may be silent, and take nothing, where it owes an answer
 *                 that takes no time of the guest's programs; 120000, which is more than any
 *                 limit of the agent's own. 0: for ever
 *   first_ms      how long the agent may be silent, and take nothing, before it begins to answer,
 *                 whatever it was asked; 0: for ever
 *   quiet_ms      after how much of such a silence VMM_GUEST_EVENT_QUIET tells of it, once an
 *                 operation: the guest may be paused, or busy; 0: never
 *   timeout_ms    how long the whole operation may take; 0: as long as it does
 *   reconnect_ms  for how long a durable session is come back to when its connection is lost;
 *                 60000. 0: not
 *   own_name      1: the "name" of a durable START is no other session's, as one drawn at random:
 *                 where the connection breaks before the agent has said that it has started, the
 *                 session of that name is come back to, or started if there is none; 0
 *   json_max      the largest JSON of an answer, in bytes; 16 MiB
 *   output_max    the most of each stream that vmm_guest_output() keeps, in bytes; 16 MiB
 *   cancel_fd     a descriptor, the caller's: whatever waits ends with -ECANCELED once it can be
 *                 read; -1: none
 *   report        0: STATUS `started` and `exited` are not asked for, by which the agent's
 *                 refusals are known; 1
 *   handshake     without an address: 1 where the caller's connections are to a Unix socket of a
 *                 VM's vsock device; 0
 *
 * Returns 0; or -EINVAL for another name, or a value that makes no sense. */
VMM_GUEST_API int vmm_guest_set(struct vmm_guest *guest, const char *option, int64_t value);

/* What went wrong last: -errno, or 0; and in words for a person, which are never NULL. They
 * stand until an operation begins. */
VMM_GUEST_API int vmm_guest_error(const struct vmm_guest *guest);
VMM_GUEST_API const char *vmm_guest_error_text(const struct vmm_guest *guest);

/* The agent's own words where it has refused the operation; NULL: it has not, or said none. And:
 * the code and the signal of the EXIT that the operation has ended with, whoever's they are;
 * returns 0, or -ENODATA where none came. They stand until an operation begins. */
VMM_GUEST_API const char *vmm_guest_refusal(const struct vmm_guest *guest);
VMM_GUEST_API int vmm_guest_exit(const struct vmm_guest *guest, int *ret_code, int *ret_signal);

/* How far the operation has come, or had before it failed: what was asked of nobody may be asked
 * again. */
VMM_GUEST_API enum vmm_guest_reached vmm_guest_reached(const struct vmm_guest *guest);

/* Has OBSERVER told of each frame, with CONTEXT; NULL: of none. TYPE and LEN are what its header
 * says, DATA_LEN bytes at DATA the beginning of its payload: all of it, or
 * VMM_GUEST_OBSERVED bytes and more. It is called by whatever takes or makes the frame, and calls
 * nothing with that handle. */
#define VMM_GUEST_OBSERVED 1024
typedef void (*vmm_guest_observer)(
    void *context, int is_out, uint8_t type, size_t len, const void *data, size_t data_len);
VMM_GUEST_API void vmm_guest_observe(
    struct vmm_guest *guest, vmm_guest_observer observer, void *context);

/* The library's version. */
VMM_GUEST_API const char *vmm_guest_version(void);

/* ---- blocking -------------------------------------------------------------- */

/* Runs a program: JSON is that of a START. INPUT of INPUT_LEN bytes is its standard input, and
 * then there is an end to it; it is only read, until this returns. What the program writes is
 * kept for vmm_guest_output(). Returns its exit code (128 and the signal's number where a
 * signal ended it); or -errno where there is none:
 *
 *   -EBUSY     the agent has no place for it (yet)
 *   -ENOENT    the program is not there; -EACCES: it can't be run, or not as that user
 *   -EINVAL    JSON is not a START
 *   -EIO       the agent's worker was lost over it
 *   -ECONNREFUSED, -ENOENT, -ECONNRESET, -ENODEV of connect(2): no agent is there
 *   -ECONNRESET  the connection was lost, and the agent has not said how the program ended
 *   -ETIMEDOUT by one of the options, -ETIME by "first_ms"; -ECANCELED; -EMSGSIZE: more than
 * "output_max"; -EPROTO: no agent answers; -ENOMEM
 *
 * Unless the session is durable, the agent ends the program when this fails. */
VMM_GUEST_API int vmm_guest_run(
    struct vmm_guest *guest, const char *json, const void *input, size_t input_len);

/* Writes a file of the guest: JSON is that of a FILE_WRITE_REQ ({"path":"/etc/motd","mode":420}),
 * DATA of LEN bytes what is to be in it. It is whole or as it was. Returns 0, or -errno, which
 * is the agent's errno where it has refused. */
VMM_GUEST_API int vmm_guest_put(
    struct vmm_guest *guest, const char *json, const void *data, size_t len);

/* Fetches a file of the guest: JSON is that of a FILE_READ_REQ. The bytes are kept for
 * vmm_guest_output() as VMM_GUEST_EVENT_DATA. Returns 0, or -errno as vmm_guest_put(). */
VMM_GUEST_API int vmm_guest_get(struct vmm_guest *guest, const char *json);

/* The same with a file of this host, of any size: what is read from FD, from where it stands to its
 * end, and what comes, written to FD. With HOLES zeros that take no room are told in a few bytes,
 * which an agent has to know: `hole` in STATUS's features. Where FD can't be read or written that
 * is the error, as read(2) or write(2) tells it. */
VMM_GUEST_API int vmm_guest_put_fd(struct vmm_guest *guest, const char *json, int fd, int holes);
VMM_GUEST_API int vmm_guest_get_fd(struct vmm_guest *guest, const char *json, int fd);

/* Any other request that ends by itself, such as "STATUS_REQ", "RESTORED", "FILE_LIST_REQ". JSON
 * may be NULL or "" where the request has no payload; of CLOCK_SYNC it is {"unix_ns":i64}, and
 * this host's time without it. The answer is kept for vmm_guest_answer(), also where it is that
 * a part of the request has failed. Returns 0; or -errno, which is -EREMOTEIO where the agent
 * tells no errno. */
VMM_GUEST_API int vmm_guest_request(struct vmm_guest *guest, const char *frame, const char *json);

/* Waits until an agent answers, for TIMEOUT_MS at most: while the VM boots, or is restored. The
 * answer is its STATUS. Returns 0, or -errno of the last try. */
VMM_GUEST_API int vmm_guest_wait_ready(struct vmm_guest *guest, int timeout_ms);

/* What vmm_guest_run() and vmm_guest_get() have kept of EVENT, a stream of bytes; of *RET_LEN
 * bytes and one NUL more. Never NULL. It stands until an operation begins. */
VMM_GUEST_API const void *vmm_guest_output(
    const struct vmm_guest *guest, enum vmm_guest_event event, size_t *ret_len);

/* The last JSON that came of the operation: of a program what STATUS `exited` says, of a request
 * its answer. NULL: none came. It stands until an operation begins. */
VMM_GUEST_API const char *vmm_guest_answer(const struct vmm_guest *guest);

/* Steps until there is an event, and returns that, as vmm_guest_next() does; or -errno where the
 * wait itself has failed, or 0 after TIMEOUT_MS (-1: none). With vmm_guest_begin() a loop of
 * these is an operation whose bytes are not kept. */
VMM_GUEST_API int vmm_guest_wait(
    struct vmm_guest *guest, int timeout_ms, const void **ret_data, size_t *ret_len);

/* ---- an operation ---------------------------------------------------------- */

/* Begins an operation: FRAME and JSON as in vmm_guest_request(), "START" and the like among them.
 * Nothing is sent before the first step. Returns 0, and then vmm_guest_next() ends with
 * VMM_GUEST_EVENT_END or _LEFT; or -errno: -EINVAL for a frame that no request has, no address, or
 * what is no JSON object where an agent would not say so in words, as of KILL; -EMSGSIZE for JSON
 * above 1 MiB; -EALREADY while another operation is under way. All else that is wrong with JSON is
 * the agent's to say, and the operation's end.
 *
 * A request of files with "more":true leaves its connection to the next one, of files again, which
 * is begun upon it: another round trip, and another of the agent's workers, is saved. That goes for
 * the blocking functions too. An older agent ignores it; then there is a connection each. The agent
 * gives one that is not used back after 50 ms; the handle does with vmm_guest_abort(), with a
 * request without "more", and where the next one is not of files.
 *
 * The next one may be begun before this one has ended, once all of an upload and
 * vmm_guest_eof() are in the handle: it is sent ahead, and vmm_guest_write() is then about that
 * one. The rest of an upload that was refused is a few bytes, which vmm_guest_step() sends though
 * nothing is under way. Answers come in order, each with an END, behind which vmm_guest_result(),
 * _answer() and _error_text() are about the one that has ended. -EAGAIN: there is no room for
 * another yet; step until there is. The result -ECONNABORTED without a vmm_guest_refusal(), for
 * that is an errno too: the agent closed the connection before it began this request, which may be
 * begun again; one that is alone and without input is, by the handle. (After an EIO "worker lost"
 * an upload of these may have come whole: to begin it again does no harm. Where the connection was
 * reset nobody knows what was begun: a MOVE or REMOVE ends with -ECONNRESET then.) Of an agent that
 * has no `more` in STATUS's features all that were sent ahead end so. */
VMM_GUEST_API int vmm_guest_begin(struct vmm_guest *guest, const char *frame, const char *json);

/* The next of what has happened, with its bytes, or its JSON with a NUL behind it. Call it until
 * there is no more after whatever has brought bytes in. What it gave out stands until it is called
 * again, whatever else is called meanwhile but what begins, ends or frees; and until then nothing
 * is received, by which a guest that writes faster than its host reads is slowed down. Of output,
 * and of a file, a frame of up to 256 KiB is given out whole. */
VMM_GUEST_API enum vmm_guest_event vmm_guest_next(
    struct vmm_guest *guest, const void **ret_data, size_t *ret_len);

/* How the operation ended: the program's exit code, 0 of other requests, or -errno as in
 * vmm_guest_run() and vmm_guest_request(); -EALREADY while it is under way. */
VMM_GUEST_API int vmm_guest_result(const struct vmm_guest *guest);

/* Input of a program or of CONNECT, bytes of an upload. Returns how many of the LEN bytes were
 * taken, which are copied: 0 where there is no room, until more has been sent; or -errno:
 * -EINVAL where the operation has no such thing or vmm_guest_eof() was called, -EPIPE where
 * nobody reads it any more, -ENOMEM. */
VMM_GUEST_API int vmm_guest_write(struct vmm_guest *guest, const void *data, size_t len);

/* The same from a descriptor: what one read(2) of FD gives, without a copy of it in between. HOLES
 * as in vmm_guest_put_fd(), of an upload. Returns how many bytes were taken, of a file the holes
 * too; 0 at the end, which vmm_guest_eof() is still to tell; or -errno: as vmm_guest_write(),
 * -EAGAIN where there is no room or FD has nothing yet, or of read(2). */
VMM_GUEST_API int64_t vmm_guest_write_fd(struct vmm_guest *guest, int fd, int holes);

/* How many bytes vmm_guest_write() would take now. */
VMM_GUEST_API size_t vmm_guest_room(const struct vmm_guest *guest);

/* There is no more input; the upload is whole. Returns 0 or -EINVAL. */
VMM_GUEST_API int vmm_guest_eof(struct vmm_guest *guest);

/* Sends SIGNAL, 1 to 64 by the guest's numbers, to the program's process group; the size of its
 * terminal. They go out in front of input that waits. Returns 0; or -EINVAL where there is no
 * program or no such signal; -EAGAIN: many signals wait to be sent already. */
VMM_GUEST_API int vmm_guest_signal(struct vmm_guest *guest, int signal);
VMM_GUEST_API int vmm_guest_resize(struct vmm_guest *guest, uint16_t columns, uint16_t rows);

/* Leaves a durable session, once all input is the program's: VMM_GUEST_EVENT_LEFT follows (or
 * _END, if the program ends first). Returns 0 or -EINVAL. */
VMM_GUEST_API int vmm_guest_detach(struct vmm_guest *guest);

/* Of QUIESCE: the guest is to go on. Returns 0 or -EINVAL. */
VMM_GUEST_API int vmm_guest_thaw(struct vmm_guest *guest);

/* Of a durable session: the offset of the first byte of output that was not given out yet, from
 * which another ATTACH goes on. */
VMM_GUEST_API uint64_t vmm_guest_offset(const struct vmm_guest *guest);

/* Of a durable session: all output below OFFSET has arrived for good, as on this host's disk. From
 * the first call on (with 0, right behind vmm_guest_begin()) the handle acknowledges nothing by
 * itself, which it else does with what vmm_guest_next() has given out; with "when_full":"wait" the
 * guest keeps what is above OFFSET, and the program waits for room. What comes twice where the
 * session is come back to is not given out again. Returns 0; or -EINVAL where there is no such
 * session, or OFFSET is above vmm_guest_offset(). */
VMM_GUEST_API int vmm_guest_ack(struct vmm_guest *guest, uint64_t offset);

/* Ends the operation at once: its connection is closed, by which the agent ends a program that is
 * not durable. The handle is ready for another. */
VMM_GUEST_API void vmm_guest_abort(struct vmm_guest *guest);

/* ---- in an event loop ------------------------------------------------------ */

/* The descriptor to wait for, which is the handle's; -1: there is none right now, or the handle
 * has no address. It may be another after each step. */
VMM_GUEST_API int vmm_guest_fd(const struct vmm_guest *guest);

/* The events of poll(2) to wait for on it: POLLIN, POLLOUT; 0: none, it is to be left out. */
VMM_GUEST_API int vmm_guest_events(struct vmm_guest *guest);

/* After how many ms vmm_guest_step() is to be called though nothing has come; -1: never. */
VMM_GUEST_API int vmm_guest_timeout_ms(const struct vmm_guest *guest);

/* Connects, sends and receives as far as that goes without a wait, and sees to what is due. What
 * goes wrong is the operation's end. */
VMM_GUEST_API void vmm_guest_step(struct vmm_guest *guest);

/* The same where poll(2) has found REVENTS of the descriptor: what it has not found is not tried,
 * but for what waits to be sent. */
VMM_GUEST_API void vmm_guest_step_found(struct vmm_guest *guest, int revents);

/* ---- with bytes that the caller carries ------------------------------------- */

/* The vsock port that the operation's connections are to be made to. */
VMM_GUEST_API uint32_t vmm_guest_port(const struct vmm_guest *guest);

/* What is to be sent: *RET_DATA of as many bytes as are returned. So many of them as have gone
 * are to be told to vmm_guest_sent(). Where the connection does not take them any more
 * (EPIPE), they are left alone, and what comes in is read to its end all the same. */
VMM_GUEST_API size_t vmm_guest_pending(struct vmm_guest *guest, const void **ret_data);
VMM_GUEST_API void vmm_guest_sent(struct vmm_guest *guest, size_t len);

/* LEN bytes have come. Returns how many were taken, which are copied: fewer only where
 * vmm_guest_next() has more to give out first. */
VMM_GUEST_API size_t vmm_guest_feed(struct vmm_guest *guest, const void *data, size_t len);

/* The connection has ended, or could not be made, as ERROR says: an errno, or 0 where the other
 * end has closed it. vmm_guest_next() gives out what had come before. */
VMM_GUEST_API void vmm_guest_hangup(struct vmm_guest *guest, int error);

#ifdef __cplusplus
}
#endif

#endif
