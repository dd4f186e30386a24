/*
 * switch_files: the file systems that one QUIESCE is about, opened by their mount points. For
 * the switch, before it freezes anything.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SUPERVISOR_SWITCH_FILES_H
#define SUPERVISOR_SWITCH_FILES_H

#include "platform/block_mounts.h"
#include "supervisor/switch.h"

/* Opens those of MOUNTS that ORDER wants to be synced or frozen, in the same order, and puts
 * into REPORT what is skipped. Returns 0 with *RET, whose descriptors are the caller's; or
 * -errno with WORDS where one that ORDER names is not there or can't be frozen: then there is
 * none. */
int switch_files_open(const struct block_mounts *mounts, const struct quiesce_order *order,
    struct quiesce_report *report, struct switch_files *ret, char words[QUIESCE_ERROR_MAX]);

#endif
