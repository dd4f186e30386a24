/*
 * fdpass: a descriptor put into the queue of a socket pair and taken out again.
 * While it lies there the file behind it stays open, whichever process dies. See unix(7),
 * SCM_RIGHTS.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PLATFORM_FDPASS_H
#define PLATFORM_FDPASS_H

#include <stddef.h>
#include <sys/socket.h>

/* Opens a queue: what is put into the writing end can be taken out of the reading end.
 * Both are non-blocking and close-on-exec, and the caller's.
 * Returns 0 or -errno. */
int fdpass_open(int *ret_read_fd, int *ret_write_fd);

/* Puts a duplicate of FD into the queue, with the LEN bytes of NOTE (0: none); FD stays the
 * caller's. A process that does not wait for the queue is not woken. Returns 0, -EAGAIN if the
 * queue is full, or -errno. */
int fdpass_put(int write_fd, int fd, const void *note, size_t len);

/* Takes one out: close-on-exec, the caller's; and its note. Returns 0, -EAGAIN if the queue is
 * empty, -EBADMSG if the note had not LEN bytes, or -errno. */
int fdpass_take(int read_fd, int *ret_fd, void *ret_note, size_t len);

/* Takes one out and lets it go: cheaper than to take and close it. Returns 0, -EAGAIN
 * if the queue is empty, or -errno: it is still there then. */
int fdpass_drop(int read_fd);

/* What these are made of, for a queue of another kind. Both take a control message of the
 * caller's, cleared, with room for the descriptors.
 *
 * Puts duplicates of the COUNT descriptors into the queue, in one message, whose bytes are those
 * of NOTE (NULL: nothing in particular). Returns 0 or -errno. */
int fdpass_send(
    int write_fd, const int *fds, size_t count, struct cmsghdr *control, struct iovec *note);

/* Takes one message as FLAGS (recv(2)) say; ROOM is CMSG_LEN() of the descriptors that are
 * wanted: the kernel lets go of more. They are close-on-exec, the caller's, and lie in
 * CMSG_DATA(CONTROL). NOTE has room for the message's bytes, and is told how many they are; NULL:
 * they are nothing in particular. Returns how many descriptors, -EAGAIN if the queue is empty, or
 * -errno. */
int fdpass_receive(
    int read_fd, int flags, struct cmsghdr *control, size_t room, struct iovec *note);

#endif
