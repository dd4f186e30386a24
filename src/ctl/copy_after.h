/*
 * copy_after: what the protocol has no request for, symbolic links and times in the
 * guest, done by the guest's own /bin/sh, ln and touch once the files are there.
 */
#ifndef CTL_COPY_AFTER_H
#define CTL_COPY_AFTER_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

struct client_error;
struct copy;

struct copy_after_list {
	char **words; /* three a step: what, its argument, the path */
	size_t count;
	size_t size;
};

struct copy_after {
	struct copy_after_list links;
	struct copy_after_list files; /* times */
	struct copy_after_list dirs;  /* times, those within others first */
};

/* Both may be called by any thread, and complain if there is no memory. */
void copy_after_link(struct copy *copy, const char *path, const char *target);
void copy_after_time(
    struct copy *copy, const char *path, const struct timespec *mtime, bool is_dir);

/* Has the guest run ARGV with COUNT words, as the user of the copy. Returns 0 when it
 * ended with status 0, or -errno with ERROR filled in: -EREMOTEIO with its words,
 * -EBUSY where the agent has no worker to spare. */
int copy_after_exec(struct copy *copy, const char **argv, size_t count, struct client_error *error);

/* Does it all, and complains about what could not be done. */
void copy_after_run(struct copy *copy);

#endif
