/*
 * diagnosis: one finding of "vmm-guest-ctl doctor" as JSON. Not a part of the wire: no agent
 * says or hears it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PROTOCOL_DIAGNOSIS_H
#define PROTOCOL_DIAGNOSIS_H

#include <stddef.h>

enum diagnosis {
	DIAGNOSIS_OK = 0,
	DIAGNOSIS_ODD,	   /* it works, but for what is said */
	DIAGNOSIS_WRONG,   /* something that hosts rely on does not work */
	DIAGNOSIS_UNKNOWN, /* it could not be looked at */
	DIAGNOSIS_COUNT,
};

extern const char *const diagnosis_words[DIAGNOSIS_COUNT + 1]; /* NULL last */

struct diagnosis_entry {
	const char *check;
	enum diagnosis verdict;
	const char *seen; /* bytes that are not UTF-8 are written as U+FFFD */
	const char *to_do;
};

/* The JSON in a new block that the caller frees; NULL: no memory. */
char *diagnosis_format(const struct diagnosis_entry *entry, size_t *ret_len);

#endif
