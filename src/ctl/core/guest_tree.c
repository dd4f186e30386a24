/*
 * guest_tree: the frames of TREE's answer, and their order.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/core/guest_tree.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "ctl/core/guest_file.h"
#include "protocol/json.h"

int
guest_tree_open(struct guest_tree *ret, const struct client_target *target,
    const struct file_request *request, struct client_error *error)
{
	*ret = (struct guest_tree)GUEST_TREE_INIT;
	ret->request = request;
	return guest_file_open(target, VMM_GUEST_FILE_TREE_REQ, request, &ret->client, error);
}

/* What breaks the order, or the contract in another way. */
static int
guest_tree_break(struct guest_tree *tree, struct client_error *error)
{
	client_explain(&tree->client, -EMSGSIZE, error);
	return -EMSGSIZE;
}

/* What FILE_STAT says in PIECE: an entry, a hole of a file, or what can't be read. */
static int
guest_tree_read_entry(
    struct guest_tree *tree, const struct client_piece *piece, struct client_error *error)
{
	struct json_error json_error = { 0 };
	int r;

	json_put(&tree->json);
	if (!piece->first || !piece->last)
		return guest_tree_break(tree, error);
	r = file_tree_parse(
	    (const char *)piece->data, piece->len, &tree->item.entry, &tree->json, &json_error);
	if (r < 0) {
		client_fail(error, "vm:%s: the agent's answer can't be understood: %s",
		    tree->request->path, r == -ENOMEM ? "out of memory" : json_error.text);
		return r;
	}
	switch (tree->item.entry.shape) {
	case FILE_TREE_HOLE:
		tree->item.len = tree->item.entry.hole;
		return tree->is_in_file ? GUEST_TREE_HOLE : guest_tree_break(tree, error);
	case FILE_TREE_ERROR:
		tree->is_in_file = false;
		return GUEST_TREE_FAILED;
	case FILE_TREE_ENTRY:
		break;
	}
	if (tree->is_in_file)
		return guest_tree_break(tree, error);
	tree->is_in_file = tree->item.entry.entry.kind == FILE_ENTRY_FILE;
	return GUEST_TREE_ENTRY;
}

/* What PIECE says. */
static int
guest_tree_read(
    struct guest_tree *tree, const struct client_piece *piece, struct client_error *error)
{
	bool was_in_file = tree->is_in_file;

	switch (piece->type) {
	case VMM_GUEST_FILE_STAT:
		return guest_tree_read_entry(tree, piece, error);
	case VMM_GUEST_FILE_DATA:
		tree->item.data = piece->data;
		tree->item.len = piece->len;
		return was_in_file ? GUEST_TREE_DATA : guest_tree_break(tree, error);
	case VMM_GUEST_FILE_DONE:
		tree->is_in_file = false;
		return was_in_file ? GUEST_TREE_DONE : guest_tree_break(tree, error);
	case VMM_GUEST_FILE_ACK:
		return was_in_file || !tree->has_begun ? guest_tree_break(tree, error)
						       : GUEST_TREE_END;
	case VMM_GUEST_FILE_ERR:
		return guest_file_refused_piece(tree->request, piece, error);
	default:
		return guest_tree_break(tree, error);
	}
}

int
guest_tree_take(struct guest_tree *tree, struct client_error *error)
{
	struct client_piece piece;
	int r = client_take(&tree->client, &piece);

	if (r == -EAGAIN)
		return r;
	if (r < 0) {
		client_explain(&tree->client, r, error);
		return r;
	}
	r = guest_tree_read(tree, &piece, error);
	tree->has_begun = tree->has_begun || r >= 0;
	return r;
}

int
guest_tree_receive(struct guest_tree *tree, struct client_error *error)
{
	int r = client_wait(&tree->client, POLLIN);

	if (r >= 0)
		r = client_fill(&tree->client);
	if (r == -EAGAIN)
		r = 0;
	if (r < 0)
		client_explain(&tree->client, r, error);
	return r;
}

/* A first frame that an agent does not know is refused, or ends it. */
bool
guest_tree_is_unknown(const struct guest_tree *tree, int r)
{
	return !tree->has_begun && (r == -EPROTO || r == -EREMOTEIO || r == -ENODATA);
}

void
guest_tree_close(struct guest_tree *tree)
{
	client_close(&tree->client);
	json_put(&tree->json);
}
