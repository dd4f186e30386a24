/*
 * guest_tree: the frames of TREE's answer, and their order.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/core/guest_tree.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>

#include "ctl/core/guest_file.h"
#include "platform/fd.h"
#include "protocol/json.h"

int
guest_tree_open(struct guest_tree *ret, const struct client_target *target,
    const struct file_request *request, struct client_error *error)
{
	*ret = (struct guest_tree){ .request = request };
	ret->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (ret->stop_fd < 0) {
		client_fail(error, "eventfd: %s", strerror(errno));
		return -ENOMEM;
	}
	return guest_file_open(&ret->guest, target, VMM_GUEST_FILE_TREE_REQ, request, error);
}

/* What FILE_STAT says: an entry, a hole of a file, or what can't be read. */
static int
guest_tree_read_entry(
    struct guest_tree *tree, const char *text, size_t len, struct client_error *error)
{
	struct json_error json_error = { 0 };
	int r;

	json_put(&tree->json);
	/* No path is so long; who keeps them has room for this. */
	if (len > VMM_GUEST_DATA_MAX)
		return guest_break(&tree->guest, error);
	r = file_tree_parse(text, len, &tree->item.entry, &tree->json, &json_error);
	if (r < 0) {
		client_fail(error, "vm:%s: the agent's answer can't be understood: %s",
		    tree->request->path, r == -ENOMEM ? "out of memory" : json_error.text);
		return r;
	}
	switch (tree->item.entry.shape) {
	case FILE_TREE_HOLE:
		tree->item.len = tree->item.entry.hole;
		return tree->is_in_file ? GUEST_TREE_HOLE : guest_break(&tree->guest, error);
	case FILE_TREE_ERROR:
		tree->is_in_file = false;
		return GUEST_TREE_FAILED;
	case FILE_TREE_ENTRY:
		break;
	}
	if (tree->is_in_file)
		return guest_break(&tree->guest, error);
	tree->is_in_file = tree->item.entry.entry.kind == FILE_ENTRY_FILE;
	return GUEST_TREE_ENTRY;
}

static int
guest_tree_read_data(
    struct guest_tree *tree, const void *data, size_t len, struct client_error *error)
{
	if (!tree->is_in_file)
		return guest_break(&tree->guest, error);
	tree->item.data = data;
	tree->item.len = len;
	tree->is_in_file = len > 0;
	return len > 0 ? GUEST_TREE_DATA : GUEST_TREE_DONE;
}

static int
guest_tree_read_end(struct guest_tree *tree, struct client_error *error)
{
	int r = guest_file_end(&tree->guest, tree->request, error);

	if (r == 0 && (tree->is_in_file || !tree->has_begun))
		r = guest_break(&tree->guest, error);
	return r < 0 ? r : GUEST_TREE_END;
}

int
guest_tree_take(struct guest_tree *tree, struct client_error *error)
{
	const void *data;
	size_t len;
	int r;

	switch (guest_next(&tree->guest, &data, &len)) {
	case VMM_GUEST_EVENT_NONE:
		return -EAGAIN;
	case VMM_GUEST_EVENT_ENTRY:
		r = guest_tree_read_entry(tree, data, len, error);
		break;
	case VMM_GUEST_EVENT_DATA:
		r = guest_tree_read_data(tree, data, len, error);
		break;
	case VMM_GUEST_EVENT_END:
		r = guest_tree_read_end(tree, error);
		break;
	default:
		r = guest_break(&tree->guest, error);
		break;
	}
	tree->has_begun = tree->has_begun || r >= 0;
	return r;
}

int
guest_tree_receive(struct guest_tree *tree, struct client_error *error)
{
	int r = guest_poll(&tree->guest, tree->stop_fd);

	if (r > 0)
		r = -ECANCELED;
	if (r < 0)
		guest_explain(&tree->guest, r, error);
	else
		vmm_guest_step(tree->guest.handle);
	return r;
}

void
guest_tree_stop(const struct guest_tree *tree)
{
	(void)eventfd_write(tree->stop_fd, 1);
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
	guest_close(&tree->guest);
	fd_close(&tree->stop_fd);
	json_put(&tree->json);
}
