/*
 * file_watch: WATCH of port 53.
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
 * by FILE_ERR too: EOVERFLOW for events that the kernel lost, ENOSPC where there
 * may be no more watches.
 *
 * The temporary names of a WRITE are not told of; the file that it replaces is
 * `modified`. */
session_serve_fn file_watch_serve;

#endif
