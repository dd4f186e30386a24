/*
 * guest: a handle of libvmmguest for the agent at a target: with the target's limits and its
 * trace, its tick and its word on silence; and what went wrong with an operation, in this
 * program's words. What is asked and answered is the library's matter (<vmm-guest/client.h>).
 *
 * One is used by one thread; many threads may share a target.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_CORE_GUEST_H
#define CTL_CORE_GUEST_H

#include <stddef.h>
#include <stdint.h>

#include "ctl/core/client.h"
#include "vmm-guest/client.h"

struct guest {
	struct vmm_guest *handle; /* NULL: closed */
	const struct client_target *target;
	int connect_ms; /* how long a connection may take to be made */
};

/* Makes one, which connects to nothing yet: for guest_close(). Returns 0; or -errno with ERROR
 * filled in: -EINVAL where there is no address, or none that can be understood. */
int guest_open(struct guest *ret, const struct client_target *target, struct client_error *error);
void guest_close(struct guest *guest);
#define CLEANUP_GUEST __attribute__((cleanup(guest_close)))

/* Each operation from now on may take TIMEOUT_MS in all. Who has a limit knows that the answer may
 * take so long: silence is not told, and does not end it. */
void guest_limit(struct guest *guest, int timeout_ms);

/* Silence ends it all the same, after the target's ANSWER_MS: where an answer takes no time. */
void guest_expect(struct guest *guest);

/* Silence is told MS later than it would be: the request takes its time. */
void guest_bear(struct guest *guest, uint64_t ms);

/* vmm_guest_begin(), with ERROR filled in. */
int guest_begin(
    struct guest *guest, const char *frame, const char *json, struct client_error *error);

/* The same, and goes on until the agent is reached: through a device it is, and nothing of the
 * request has been sent so far. */
int guest_reach(
    struct guest *guest, const char *frame, const char *json, struct client_error *error);

/* The next event of the operation, as vmm_guest_wait() without a limit: VMM_GUEST_EVENT_END at
 * last. Silence is told by the target's word, and its tick is called. */
enum vmm_guest_event guest_wait(struct guest *guest, const void **ret_data, size_t *ret_len);

/* The same without a wait, as vmm_guest_next(), for who waits by a poll(2) of his own. */
enum vmm_guest_event guest_next(struct guest *guest, const void **ret_data, size_t *ret_len);

/* And: when vmm_guest_step() is to be called though nothing has come; CLOCK_NEVER: it is not. */
uint64_t guest_due_ms(const struct guest *guest);

/* Waits by poll(2) until the handle is to be stepped, or FD, if that is not -1, can be read, or the
 * target's tick, which it calls, is due. Returns 1 where FD can, else 0; or -ECANCELED. */
int guest_poll(const struct guest *guest, int fd);

/* Why the operation has failed, other than by the agent's refusal: -ENODATA where the agent has
 * closed the connection without an (entire) answer, -ECONNREFUSED where nobody listens,
 * -ETIMEDOUT by guest_limit(), -ETIME by the target's ANSWER_MS, -EMSGSIZE for what no agent
 * says; -ECANCELED, or another -errno. And: what to say of ERROR, one of these. */
int guest_error(const struct guest *guest);
void guest_explain(const struct guest *guest, int error, struct client_error *ret);

/* What came is not what was asked for, or breaks the contract in another way: returns -EMSGSIZE
 * with ERROR filled in. */
int guest_break(const struct guest *guest, struct client_error *error);

#endif
