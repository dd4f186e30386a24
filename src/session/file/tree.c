/*
 * SPDX-License-Identifier: MIT
 */
#include "session/file/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "platform/fd.h"
#include "platform/proc.h"
#include "platform/text.h"
#include "session/file/serve.h"
#include "session/file/tree_state.h"

static int
file_tree(struct file_work *work)
{
	int CLEANUP_FD fd = open(work->path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	int CLEANUP_FD fds_fd = -1;
	struct file_tree *tree;
	int sent;
	int r;

	if (fd < 0)
		return -errno;
	fds_fd = openat(proc_dir_fd(), "self/fd", O_PATH | O_CLOEXEC);
	/* Of fixed size, and touched as far as the tree is deep. */
	tree = malloc(sizeof(*tree));
	if (tree == NULL)
		return -ENOMEM;
	memset(tree, 0, offsetof(struct file_tree, levels));
	tree->session = work->session;
	tree->request = work->request;
	tree->left = work->request->max_entries;
	tree->root_fd = fd;
	tree->fds_fd = fds_fd;
	r = file_tree_walk(tree);
	sent = r == -EPIPE ? r : file_tree_flush(tree);
	free(tree);
	if (r == -E2BIG) {
		(void)text_format(work->words, sizeof(work->words),
		    "it has more than %" PRIu64 " entries", work->request->max_entries);
		work->why = work->words;
	}
	return r < 0 ? r : sent;
}

void
file_tree_serve(struct session *session, uint8_t type, const uint8_t *payload, size_t len)
{
	file_serve(session, type, payload, len, file_tree);
}
