/*
 * file_watch: WATCH of port 53.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_FILE_WATCH_H
#define SESSION_FILE_WATCH_H

#include "session/session.h"

/* Tells of what happens in a directory (with "recursive": and below it), or to a
 * file, until the host goes. Change of content and of metadata are `modified`.
 *
 * A file is watched by its name: it may be removed and made again. A directory is
 * watched itself: when it is removed or moved away, `removed` is sent for it,
 * then FILE_ERR ENOENT, as nothing more can come. What else ends a watch is told
 * by FILE_ERR too: EOVERFLOW for events that the kernel lost, while a host that does
 * not read is waited for without a limit; ENOSPC and ENOBUFS where no more can be
 * watched or held, unless the host has asked with "gaps". One directory that can't be
 * watched is left out, and told of.
 *
 * The temporary names of a WRITE are not told of; the file that it replaces is
 * `modified`. */
session_serve_fn file_watch_serve;

#endif
