/*
 * SPDX-License-Identifier: MIT
 */
#include "session/file/serve.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "session/file/user.h"

/* Returns 0 with the outcome in *RET; else FILE_ERR has been sent. */
static int
file_serve_as_user(struct file_work *work, file_serve_fn *do_it, int *ret)
{
	struct file_user FILE_USER_SCOPE user = { .entered = false };
	int r = file_user_enter(&user, work->session, work->request->user);

	if (r < 0)
		return r;
	session_describe(work->session, work->request->user, work->path);
	*ret = do_it(work);
	return 0;
}

static void
file_serve_answer(const struct file_work *work, int error)
{
	if (error < 0 && work->why != NULL)
		file_reply_text(work->session, error, "%s: %s", work->of, work->why);
	else if (error < 0)
		file_reply_error(work->session, error, work->of);
	else
		(void)session_send_last(work->session, work->type, work->text, work->len);
}

void
file_serve(
    struct session *session, uint8_t type, const uint8_t *payload, size_t len, file_serve_fn *do_it)
{
	struct file_request request = { 0 };
	char path[PATH_MAX];
	char to[PATH_MAX];
	struct file_work work = {
		.session = session,
		.request = &request,
		.path = path,
		.type = VMM_GUEST_FILE_ACK,
		.of = path,
	};
	int r = file_reply_parse(session, type, payload, len, &request);

	if (r < 0)
		return;
	r = file_reply_path(session, request.path, path);
	if (r == 0 && request.to != NULL) {
		r = file_reply_path(session, request.to, to);
		work.to = to;
	}
	if (r == 0 && file_serve_as_user(&work, do_it, &r) == 0)
		file_serve_answer(&work, r);
	free(work.text);
	file_request_done(&request);
}

int
file_serve_open_both(
    struct file_work *work, int flags, struct file_place *ret_from, struct file_place *ret_to)
{
	int r = file_place_open(work->path, 0, ret_from);

	if (r < 0)
		return r;
	if (ret_from->fd < 0)
		return -ENOENT;
	/* No parents are made for what can't be linked. */
	if ((flags & FILE_PLACE_MAKE_DIRS) && S_ISDIR(ret_from->status.st_mode))
		return -EISDIR;
	work->of = work->to;
	return file_place_open(work->to, flags, ret_to);
}
