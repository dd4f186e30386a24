/*
 * guest_tree: TREE: a directory of the guest with all that is in it, an event at a time.
 *
 * What comes is in order: contents only of a file whose entry came last, and nothing else
 * until that is whole or given up. What the paths hold is the caller's to check.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_CORE_GUEST_TREE_H
#define CTL_CORE_GUEST_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ctl/core/guest.h"
#include "protocol/file_entry.h"
#include "protocol/file_request.h"

enum guest_tree_event {
	GUEST_TREE_ENTRY,  /* the item's entry; of a regular file its contents come next */
	GUEST_TREE_DATA,   /* its LEN bytes at DATA */
	GUEST_TREE_HOLE,   /* LEN zeros that take no room in the guest */
	GUEST_TREE_DONE,   /* the file is whole */
	GUEST_TREE_FAILED, /* the path of its entry could not be read, as its error says; of a file
			    * amid its contents, these end here */
	GUEST_TREE_END,	   /* that was all */
	GUEST_TREE_EVENTS
};

/* What an event says. */
struct guest_tree_item {
	struct file_tree_entry entry;
	const uint8_t *data;
	uint64_t len;
};

struct guest_tree {
	struct guest guest;
	int stop_fd; /* of guest_tree_stop() */
	const struct file_request *request;
	bool has_begun; /* the agent has sent something of the tree */
	bool is_in_file;
	struct guest_tree_item item; /* good until the next one */
	struct json_object *json;    /* owns the strings of its entry */
};

/* Asks for the tree of REQUEST, which is borrowed. Returns 0 with *RET for
 * guest_tree_close(), or as the functions of ctl/core/guest_file.h. */
int guest_tree_open(struct guest_tree *ret, const struct client_target *target,
    const struct file_request *request, struct client_error *error);

/* The next event out of what was received. Returns one of enum guest_tree_event; -EAGAIN if
 * more has to be received first; or, when no more will come, as guest_tree_open(). */
int guest_tree_take(struct guest_tree *tree, struct client_error *error);

/* Waits for more, and receives it. Returns 0, or as guest_tree_open(). */
int guest_tree_receive(struct guest_tree *tree, struct client_error *error);

/* Has the thread that calls guest_tree_receive() return from that, now or when it does, with
 * -ECANCELED. */
void guest_tree_stop(const struct guest_tree *tree);

/* Whether R, which one of these returned, comes of an agent that has no TREE. */
bool guest_tree_is_unknown(const struct guest_tree *tree, int r);

/* Closes the connection and frees what belongs to it. */
void guest_tree_close(struct guest_tree *tree);
#define CLEANUP_TREE __attribute__((cleanup(guest_tree_close)))

#endif
