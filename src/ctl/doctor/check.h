/*
 * doctor/check: what is looked at in a guest: a table of checks. Each judges facts and reads
 * nothing by itself.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_DOCTOR_CHECK_H
#define CTL_DOCTOR_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "ctl/doctor/facts.h"
#include "ctl/doctor/finding.h"

struct check {
	const char *name;
	bool needs_status;
	/* Bits 1 << FACTS_...: files without which nothing can be said; and those that may not be
	 * there, which then have no text. */
	uint32_t needs;
	uint32_t looks_at;
	/* Fills RET in, but for the name. */
	void (*judge)(const struct facts *facts, struct finding *ret);
};

extern const struct check check_table[];
extern const unsigned check_count;

/* Judges FACTS by CHECK; what it looks at and could not be read makes that unknown. */
void check_run(const struct check *check, const struct facts *facts, struct finding *ret);

/* The judges, by what they judge. */
void check_agent(const struct facts *facts, struct finding *ret);
void check_workers(const struct facts *facts, struct finding *ret);
void check_quiesce(const struct facts *facts, struct finding *ret);
void check_vsock(const struct facts *facts, struct finding *ret);
void check_cgroups(const struct facts *facts, struct finding *ret);

void check_kernel(const struct facts *facts, struct finding *ret);
void check_clock(const struct facts *facts, struct finding *ret);
void check_ptp(const struct facts *facts, struct finding *ret);
void check_entropy(const struct facts *facts, struct finding *ret);
void check_freeze(const struct facts *facts, struct finding *ret);
void check_devpts(const struct facts *facts, struct finding *ret);

void check_memory(const struct facts *facts, struct finding *ret);
void check_shm(const struct facts *facts, struct finding *ret);
void check_disk(const struct facts *facts, struct finding *ret);
void check_inodes(const struct facts *facts, struct finding *ret);
void check_processes(const struct facts *facts, struct finding *ret);
void check_limits(const struct facts *facts, struct finding *ret);

void check_hosts(const struct facts *facts, struct finding *ret);
void check_resolv(const struct facts *facts, struct finding *ret);

/* What several of them look for in a text of the guest's. */

/* The text of FILE; "": it is not there. */
const char *check_text(const struct facts *facts, enum facts_file file);

/* The number behind KEY, which begins a line of TEXT. Returns false where there is none. */
bool check_number(const char *text, const char *key, uint64_t *ret);

/* Whether one line of TEXT is NAME, and nothing else. */
bool check_has_line(const char *text, const char *name);

/* Whether WORD is one of the words of the LEN bytes of TEXT. */
bool check_has_word(const char *text, size_t len, const char *word);

#endif
