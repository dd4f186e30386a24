/*
 * copy_pending: the directories of one level that are still to be gone into, packed:
 * of each the record, and its name behind that.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/copy/copy_pending.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/copy/copy.h"

#define COPY_PENDING_SIZE_FIRST 1024

/* Makes room for LEN bytes more. */
static int
copy_pending_grow(size_t *all, struct copy_pending *pending, size_t len)
{
	size_t size = pending->size > 0 ? pending->size : COPY_PENDING_SIZE_FIRST;
	char *grown;

	while (size < pending->len + len)
		size *= 2;
	if (size == pending->size)
		return 0;
	if (size - pending->size > COPY_PENDING_MAX - *all)
		return -EOVERFLOW;
	grown = realloc(pending->bytes, size);
	if (grown == NULL)
		return -ENOMEM;
	*all += size - pending->size;
	pending->all = all;
	pending->bytes = grown;
	pending->size = size;
	return 0;
}

int
copy_pending_add(size_t *all, struct copy_pending *pending, const struct copy_pending_dir *dir)
{
	size_t name_len = strlen(dir->name) + 1;
	int r = copy_pending_grow(all, pending, sizeof(*dir) + name_len);

	if (r < 0)
		return r;
	memcpy(pending->bytes + pending->len, dir, sizeof(*dir));
	memcpy(pending->bytes + pending->len + sizeof(*dir), dir->name, name_len);
	pending->len += sizeof(*dir) + name_len;
	return 0;
}

const char *
copy_pending_explain(int r)
{
	return r == -EOVERFLOW ? "too many directories to keep in mind" : strerror(-r);
}

bool
copy_pending_next(struct copy_pending *pending, struct copy_pending_dir *ret)
{
	if (pending->at == pending->len)
		return false;
	memcpy(ret, pending->bytes + pending->at, sizeof(*ret));
	ret->name = pending->bytes + pending->at + sizeof(*ret);
	pending->at += sizeof(*ret) + strlen(ret->name) + 1;
	return true;
}

void
copy_pending_done(struct copy_pending *pending)
{
	if (pending->all != NULL)
		*pending->all -= pending->size;
	free(pending->bytes);
	*pending = (struct copy_pending){ 0 };
}

int
copy_pending_walk(
    struct copy *copy, struct copy_dir *dir, copy_level_fn *level, copy_enter_fn *enter)
{
	struct copy_pending CLEANUP_PENDING pending = { 0 };
	struct copy_pending_dir child;
	int r = level(copy, dir, &pending);

	while (r == 0 && copy_pending_next(&pending, &child)) {
		r = enter(copy, dir, &child);
		if (r < 0 && r != -ECANCELED) {
			copy_complain_of(copy, dir, child.name, r);
			r = 0;
		}
	}
	return r;
}
