/*
 * io_result: what a call of the C library gave, as our own functions say it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PLATFORM_IO_RESULT_H
#define PLATFORM_IO_RESULT_H

/* RESULT, which such a call has just returned; or -errno where that is -1. */
int io_result(int result);

#endif
