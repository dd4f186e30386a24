/*
 * base64: the standard alphabet with padding, both ways. Source: RFC 4648,
 * section 4. Pure.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PROTOCOL_BASE64_H
#define PROTOCOL_BASE64_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Room for the text of LEN bytes, its NUL included. */
#define BASE64_TEXT_SIZE(len) (((len) + 2) / 3 * 4 + 1)

/* Writes the LEN bytes at BYTES to TEXT, of BASE64_TEXT_SIZE(LEN). */
void base64_format(const uint8_t *bytes, size_t len, char *text);

/* Reads all of TEXT; of the bytes that it stands for the first SIZE are written
 * to BYTES. Returns how many that were, or -EINVAL if anything else is in it:
 * white space, a character behind the padding, bits that stand for nothing. */
ssize_t base64_parse(const char *text, uint8_t *bytes, size_t size);

#endif
