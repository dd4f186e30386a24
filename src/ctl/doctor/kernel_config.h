/*
 * doctor/kernel_config: what a kernel has to be configured with for the agent, and what it had
 * better be; held against the text of a .config. Source: the kernel's
 * Documentation/kbuild/kconfig.rst.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_DOCTOR_KERNEL_CONFIG_H
#define CTL_DOCTOR_KERNEL_CONFIG_H

#include <stdbool.h>

#include "ctl/doctor/finding.h"

/* Of several that do as well as each other, as many as this are known. */
#define KERNEL_CONFIG_NAMES_MAX 4

#define KERNEL_CONFIG_CHECK "kernel option"

enum kernel_config_arch {
	KERNEL_CONFIG_ALL = 0,
	KERNEL_CONFIG_X86,
	KERNEL_CONFIG_ARM64,
};

struct kernel_option {
	/* Without "CONFIG_"; one of them is enough. */
	const char *names[KERNEL_CONFIG_NAMES_MAX];
	const char *modules[KERNEL_CONFIG_NAMES_MAX]; /* as /proc/modules has them; or NULL */
	enum kernel_config_arch arch;		      /* that alone needs it */
	enum diagnosis verdict;			      /* where it is not set */
	const char *without;			      /* what there is not, then */
	const char *to_do;
};

/* The table, and how long it is. */
extern const struct kernel_option kernel_config_options[];
extern const unsigned kernel_config_count;

/* Whether TEXT is that of a .config: it has a line that sets an option. */
bool kernel_config_is_one(const char *text);

/* Judges OPTION by the .config TEXT, and where it is a module by MODULES, the text of
 * /proc/modules of the same kernel; NULL: nothing is known of that. Returns false where the
 * option is of no matter to a kernel of this architecture. */
bool kernel_config_judge(
    const struct kernel_option *option, const char *text, const char *modules, struct finding *ret);

#endif
