/*
 * SPDX-License-Identifier: MIT
 */
#include "session/file/set.h"

#include <errno.h>

#include "session/file/attributes.h"
#include "session/file/place.h"
#include "session/file/serve.h"

static int
file_set(struct file_work *work)
{
	struct file_place FILE_PLACE_SCOPE place = FILE_PLACE_NONE;
	int r = file_place_open(work->path, 0, &place);

	if (r < 0)
		return r;
	if (place.fd < 0)
		return -ENOENT;
	if (work->request->has_mode && S_ISLNK(place.status.st_mode))
		return -EOPNOTSUPP;
	return file_attributes_set(place.fd, work->request);
}

void
file_set_serve(struct session *session, uint8_t type, const uint8_t *payload, size_t len)
{
	file_serve(session, type, payload, len, file_set);
}
