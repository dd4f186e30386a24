/*
 * doctor/gunzip: what gzip(1) has packed, unpacked by that program: it is on each host that
 * builds or boots kernels, and what a guest sends it goes through a process of its own.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_DOCTOR_GUNZIP_H
#define CTL_DOCTOR_GUNZIP_H

#include <stdbool.h>
#include <stddef.h>

/* A .config is 150 to 300 KiB. */
#define GUNZIP_MAX (4ul << 20)

/* Whether the LEN bytes of DATA begin as RFC 1952 says. */
bool gunzip_is_packed(const char *data, size_t len);

/* Unpacks the LEN bytes of DATA. Returns 0 with them in a new block that the caller frees, a NUL
 * behind; -ENOEXEC where there is no gzip(1) to run; -EBADMSG where it says that these are no such
 * bytes; -EFBIG if there are more than GUNZIP_MAX; or -errno. */
int gunzip(const char *data, size_t len, char **ret, size_t *ret_len);

#endif
