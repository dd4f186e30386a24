/*
 * file_user: doing the path calls of a request with a user's rights. A worker is
 * one process with one thread, so its effective ids and its groups are changed
 * and the kernel decides. Its real and saved ids stay 0, by which it gets back,
 * and which keep that user from signalling or tracing it meanwhile; its permitted
 * capabilities stay too, which keep that user from changing its priority or its CPUs.
 *
 * Not by setfsuid(2): below /proc/sys the kernel goes by the effective uid, in /proc/PID
 * by CAP_SYS_PTRACE, for quotas by CAP_SYS_RESOURCE, and a worker would keep all three.
 *
 * Source: credentials(7), capabilities(7) on what a change of ids does to them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_FILE_USER_H
#define SESSION_FILE_USER_H

#include <stdbool.h>

#include "session/session.h"

/* Declared with FILE_USER_SCOPE, the agent's own ids come back at its end. */
struct file_user {
	bool entered;
};

#define FILE_USER_SCOPE __attribute__((cleanup(file_user_leave)))

/* Takes on the ids of the user that SPEC names (see users_lookup()); nothing
 * happens for "". Returns 0; else FILE_ERR has been sent, the ids are as they
 * were, and -errno is returned. */
int file_user_enter(struct file_user *user, struct session *session, const char *spec);

/* Takes on the same ids again, after they were given back, for a session that does so
 * many times. Returns 0, or -errno with the ids as they were. */
int file_user_enter_again(struct file_user *user);

/* Takes back the agent's own ids; nothing happens if none were taken on. Where
 * that fails the worker exits: it is nobody's to serve with. */
void file_user_leave(struct file_user *user);

#endif
