/*
 * SPDX-License-Identifier: MIT
 */
#include "session/file/read.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "platform/fd.h"
#include "platform/text.h"
#include "session/file/content.h"
#include "session/file/place.h"
#include "session/file/serve.h"

/* Opens the file of PATH for reading: looked at first, so that no device is ever opened
 * (some act on it) and no FIFO waited for. Returns a descriptor or -errno: -EISDIR, -EINVAL
 * for anything else that is not a file. */
static int
file_read_open(const char *path)
{
	struct file_place FILE_PLACE_SCOPE place = FILE_PLACE_NONE;
	mode_t mode;

	place.fd = open(path, O_PATH | O_CLOEXEC);
	if (place.fd < 0 || fstat(place.fd, &place.status) < 0)
		return -errno;
	mode = place.status.st_mode;
	if (S_ISDIR(mode))
		return -EISDIR;
	if (!S_ISREG(mode) && !S_ISBLK(mode))
		return -EINVAL;
	return file_place_reopen(&place, O_RDONLY);
}

static int
file_read(struct file_work *work)
{
	const struct file_request *request = work->request;
	int CLEANUP_FD fd = file_read_open(work->path);
	uint64_t sent;
	int r = fd;

	if (fd >= 0)
		r = file_content_send(work->session, fd, request->offset, request->length, &sent);
	if (r == -EFBIG) {
		(void)text_format(work->words, sizeof(work->words),
		    "it does not end within %" PRIu64 " bytes",
		    work->session->settings->max_file_bytes);
		work->why = work->words;
	}
	work->type = VMM_GUEST_FILE_DONE;
	return r;
}

void
file_read_serve(struct session *session, uint8_t type, const uint8_t *payload, size_t len)
{
	file_serve(session, type, payload, len, file_read);
}
