/*
 * file_reply: how a file session answers, in the words that all its kinds share.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_FILE_REPLY_H
#define SESSION_FILE_REPLY_H

#include "protocol/file_request.h"
#include "session/session.h"

/* Sends FILE_ACK as the last frame. */
void file_reply_ack(struct session *session);

/* Sends FILE_ERR with the name of ERROR (-errno) and PATH: "ENOENT: /x". Nothing
 * is sent where the host has gone. */
void file_reply_error(struct session *session, int error, const char *path);

/* Sends FILE_ERR with the name of ERROR, then what FORMAT says. */
void file_reply_text(struct session *session, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Parses the payload of a request of TYPE. Returns 0 with *RET for
 * file_request_done(); where it can't be read, answers with FILE_ERR, counts it
 * as a bad request and returns -EINVAL.
 *
 * From here to the session's end a file system that does not answer may hold this
 * worker for the stall timeout at a time, and is then the end of it: the supervisor
 * tells the host. A request of many steps says so after each, by watchdog_ping(). */
int file_reply_parse(struct session *session, uint8_t type, const uint8_t *payload, size_t len,
    struct file_request *ret);

/* What comes up to the request's end may flush to the disk, as fsync(2), rename(2) and
 * close(2) do, which may take SLOT_FLUSH_TIMES times as long. It is said in the slot: to set the
 * timer anew would be two system calls more for each file. */
void file_reply_begin_flush(const struct session *session);

/* Turns a path of a request into an absolute one; see file_path_parse(). Where
 * it is empty or too long, answers with FILE_ERR and returns -EINVAL. */
int file_reply_path(struct session *session, const char *given, char *ret);

/* For work that does not wait: whether to go on. Returns 0, -EPIPE if the host
 * has gone, or -ECANCELED if this worker was told to stop. */
int file_reply_check(struct session *session);

/* The time at which a peer that does nothing from now on has stalled. */
uint64_t file_reply_deadline(const struct session *session);

#endif
