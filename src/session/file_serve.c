/*
 * file_serve: the course of the requests that do something to a path.
 */
#include "session/file_serve.h"

#include <limits.h>

#include "session/file_user.h"

/* Returns 0 with the outcome in *RET; else FILE_ERR has been sent. */
static int
file_serve_as_user(struct session *session, const struct file_request *request, const char *path,
    file_serve_fn *do_it, int *ret)
{
	struct file_user FILE_USER_SCOPE user = { .entered = false };
	int r = file_user_enter(&user, session, request->user);

	if (r < 0)
		return r;
	session_describe(session, request->user, path);
	*ret = do_it(session, request, path);
	return 0;
}

void
file_serve(
    struct session *session, uint8_t type, const uint8_t *payload, size_t len, file_serve_fn *do_it)
{
	struct file_request request = { 0 };
	char path[PATH_MAX];
	int r;

	if (file_reply_parse(session, type, payload, len, &request) < 0)
		return;
	if (file_reply_path(session, request.path, path) == 0 &&
	    file_serve_as_user(session, &request, path, do_it, &r) == 0) {
		if (r == 0)
			file_reply_ack(session);
		else
			file_reply_error(session, r, path);
	}
	file_request_done(&request);
}
