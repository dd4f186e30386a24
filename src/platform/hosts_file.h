/*
 * hosts_file: /etc/hosts, where it is ours. Source: hosts(5).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PLATFORM_HOSTS_FILE_H
#define PLATFORM_HOSTS_FILE_H

#include <stdbool.h>

/* Whether it is: where there is none, or an empty one, or one whose first line says that we
 * wrote it. */
bool hosts_file_is_own(void);

/* Writes it anew, with localhost and with NAME, the guest's own ("": none), where it is ours.
 * Returns 0, also where there is none and on a read-only root none can be made; or -errno. */
int hosts_file_write(const char *name);

#endif
