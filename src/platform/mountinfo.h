/*
 * mountinfo: lines of /proc/PID/mountinfo; see proc(5). Pure.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PLATFORM_MOUNTINFO_H
#define PLATFORM_MOUNTINFO_H

#include <stdbool.h>

/* One mount. The texts lie in the line. */
struct mountinfo {
	unsigned id;
	unsigned parent; /* the mount that it stands on */
	unsigned major;	 /* of the file system's device number; 0: it has none of its own */
	unsigned minor;
	const char *root;    /* which directory of the file system is mounted */
	const char *point;   /* where */
	const char *type;    /* of filesystems(5) */
	const char *source;  /* as mount(2) had it, or "none" */
	const char *options; /* the file system's own, with commas between; still escaped */
};

/* Takes LINE, without its newline, apart. Returns false where it is not such a line. */
bool mountinfo_parse(char *line, struct mountinfo *ret);

/* The value of the option NAME in OPTIONS, with its length; NULL: it is not there. One that
 * has no value is there with the length 0. The value is for mountinfo_unescape(): a comma in it
 * is in octal. */
const char *mountinfo_option(const char *options, const char *name, unsigned *ret_len);

/* Whether PATH is DIR or lies below it, by whole names. */
bool mountinfo_is_below(const char *path, const char *dir);

/* Puts bytes in the place of what the kernel writes in octal (blanks and backslashes). */
void mountinfo_unescape(char *text);

#endif
