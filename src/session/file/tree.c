/*
 * SPDX-License-Identifier: MIT
 */
#include "session/file/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "platform/fd.h"
#include "session/file/reply.h"
#include "session/file/tree_state.h"
#include "session/file/user.h"

static int
file_tree_open(struct session *session, const struct file_request *request, const char *path)
{
	int CLEANUP_FD fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct file_tree *tree;
	int sent;
	int r;

	if (fd < 0)
		return -errno;
	/* Of fixed size, and touched as far as the tree is deep. */
	tree = malloc(sizeof(*tree));
	if (tree == NULL)
		return -ENOMEM;
	memset(tree, 0, offsetof(struct file_tree, levels));
	tree->session = session;
	tree->request = request;
	tree->left = request->max_entries;
	tree->root_fd = fd;
	r = file_tree_walk(tree);
	sent = r == -EPIPE ? r : file_tree_flush(tree);
	free(tree);
	return r < 0 ? r : sent;
}

/* Returns 0 with the outcome in *RET; else FILE_ERR has been sent. */
static int
file_tree_as_user(
    struct session *session, const struct file_request *request, const char *path, int *ret)
{
	struct file_user FILE_USER_SCOPE user = { .entered = false };
	int r = file_user_enter(&user, session, request->user);

	if (r < 0)
		return r;
	session_describe(session, request->user, path);
	*ret = file_tree_open(session, request, path);
	return 0;
}

void
file_tree_serve(struct session *session, uint8_t type, const uint8_t *payload, size_t len)
{
	struct file_request request = { 0 };
	char path[PATH_MAX];
	int r = file_reply_parse(session, type, payload, len, &request);

	if (r < 0)
		return;
	if (file_reply_path(session, request.path, path) == 0 &&
	    file_tree_as_user(session, &request, path, &r) == 0) {
		if (r == 0)
			file_reply_ack(session);
		else if (r == -E2BIG)
			file_reply_text(session, r, "%s: it has more than %" PRIu64 " entries",
			    path, request.max_entries);
		else
			file_reply_error(session, r, path);
	}
	file_request_done(&request);
	(void)malloc_trim(0);
}
