/*
 * listener: the agent's listening sockets, and who may come in by them.
 * Sources: vsock(7), unix(7), accept(2).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PLATFORM_LISTENER_H
#define PLATFORM_LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LISTENER_BACKLOG 1024

/* How many bytes of a vsock connection may wait in the guest's kernel, from Linux 6.3 on. Since
 * 6.12.92 (and its like of other series) packets are counted there too, at SKB_TRUESIZE(0) each,
 * which is 576 bytes: when more wait than the window has room for the kernel resets the
 * connection (ENOBUFS), and no host can know. There are 455 in the 256 KiB that the kernel
 * gives by itself, and 7281 here, which take some 30 MiB; none is taken in advance. */
#define LISTENER_VSOCK_WINDOW (4u << 20)

/* Both return 0 with a listening, non-blocking, close-on-exec socket in *RET_FD,
 * which the caller owns, or -errno.
 *
 * listener_open_vsock(): any CID, PORT. -EAFNOSUPPORT or -EADDRNOTAVAIL where
 * vsock is not there (yet).
 * listener_open_unix(): a stale socket at PATH is replaced; -EADDRINUSE if
 * somebody listens there; -EEXIST if PATH is not a socket. Mode 0600. */
int listener_open_vsock(uint32_t port, int *ret_fd);
int listener_open_unix(const char *path, int *ret_fd);

/* Accepts one connection from LISTENER_FD: close-on-exec and non-blocking. Its peer may talk
 * to the agent if it is, on vsock, CID 2, the host; on a Unix socket our own uid or 0; or if
 * ANY_PEER. Returns 0 with *RET_FD, -EAGAIN if another worker was faster, -ECONNREFUSED where
 * it was closed as another's, who is in *RET_PEER (a CID or uid), or -errno. */
int listener_accept(int listener_fd, bool any_peer, int *ret_fd, uint32_t *ret_peer);

/* Whether the user at the other end of CONN_FD, a Unix socket, is our own or 0. Returns 0,
 * -EPERM with the uid in *RET_PEER, or -errno. */
int listener_check_user(int conn_fd, uint32_t *ret_peer);

/* The most bytes that one send(2) on a connection of LISTENER_FD, a Unix socket, is sure
 * to take as one message, if it takes any: half of the buffer that the kernel gives to
 * sockets now; see unix_stream_sendmsg() in net/unix/af_unix.c. */
size_t listener_message_max(int listener_fd);

#endif
