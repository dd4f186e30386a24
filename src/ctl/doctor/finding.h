/*
 * doctor/finding: what one look at a guest, or at a kernel's configuration, has found.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_DOCTOR_FINDING_H
#define CTL_DOCTOR_FINDING_H

#include "protocol/diagnosis.h"

#define FINDING_SEEN_MAX 320

struct finding {
	const char *name; /* of the check */
	enum diagnosis verdict;
	char seen[FINDING_SEEN_MAX]; /* may have bytes of the guest's */
	const char *to_do;	     /* NULL: nothing */
};

/* Fills FINDING in, but for its name. */
void finding_set(struct finding *finding, enum diagnosis verdict, const char *to_do,
    const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
