/*
 * guest_entry: what the agent tells of the guest's files, as structs, with the rights
 * of USER ("": its own). Returns and errors as in ctl/core/guest_file.h.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_CORE_GUEST_ENTRY_H
#define CTL_CORE_GUEST_ENTRY_H

#define GUEST_ENTRY_MARK "vm:"

#include <stdbool.h>

#include "ctl/core/client.h"
#include "protocol/file_entry.h"

/* One file; with FOLLOW what a symbolic link leads to. */
int guest_entry_stat(const struct client_target *target, const char *path, const char *user,
    bool follow, struct file_listing *ret, struct client_error *error);

/* What is in a directory. */
int guest_entry_list(const struct client_target *target, const char *path, const char *user,
    struct file_listing *ret, struct client_error *error);

/* What PATH leads to, links followed. */
enum guest_entry_type {
	GUEST_ENTRY_NONE = 0, /* nothing; or a link to nothing */
	GUEST_ENTRY_DIR,
	GUEST_ENTRY_FILE,    /* anything but a directory */
	GUEST_ENTRY_UNKNOWN, /* the agent is of the first day and can't say */
};

/* Returns 0 with *RET, or -errno where the agent can't be asked. */
int guest_entry_type(const struct client_target *target, const char *path, const char *user,
    enum guest_entry_type *ret, struct client_error *error);

/* A path of the guest as it was given, without the "vm:" that may be in front; "vm:"
 * alone is the root. */
const char *guest_entry_path(const char *text);

/* Whether NAME is one that a directory can have: what a guest tells may be a path. */
bool guest_entry_is_name(const char *name);

/* DIRECTORY and NAME with a slash between, in a new block; NULL: no memory. */
char *guest_entry_join(const char *directory, const char *name);

#endif
