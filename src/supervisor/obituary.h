/*
 * obituary: the last words to the host of a session whose worker has died.
 *
 * The supervisor reads nothing from the connection, waits for nobody, and speaks
 * only where no frame was under way: then shuts it down, whatever the phase.
 */
#ifndef SUPERVISOR_OBITUARY_H
#define SUPERVISOR_OBITUARY_H

#include "session/scoreboard.h"

/* Takes the connection out of the queue of QUEUE_FD (see fdpass.h), if one is
 * there, says to its host that the worker was lost because of CAUSE, as far as
 * SLOT lets it, and shuts it down. Returns whether there was a connection. */
bool obituary_send(int queue_fd, const struct slot *slot, const char *cause);

/* The frames that are said for VOICE, in BYTES of SIZE. Returns their length; 0
 * where nothing may be said. Pure. */
size_t obituary_format(uint8_t voice, const char *cause, uint8_t *bytes, size_t size);

#endif
