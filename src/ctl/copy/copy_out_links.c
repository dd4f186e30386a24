/*
 * copy_out_links: a tree of tsearch(3).
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/copy/copy_out_links.h"

#include <search.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct copy_out_link {
	uint64_t dev;
	uint64_t ino;
	char path[];
};

static int
copy_out_links_compare(const void *one, const void *other)
{
	const struct copy_out_link *a = one;
	const struct copy_out_link *b = other;

	if (a->dev != b->dev)
		return a->dev < b->dev ? -1 : 1;
	if (a->ino != b->ino)
		return a->ino < b->ino ? -1 : 1;
	return 0;
}

void
copy_out_links_add(struct copy_out_links *links, uint64_t dev, uint64_t ino, const char *path)
{
	size_t size = strlen(path) + 1;
	struct copy_out_link *link;
	struct copy_out_link **found;

	if (size == 1 || links->count == COPY_OUT_LINKS_MAX)
		return;
	link = malloc(sizeof(*link) + size);
	if (link == NULL)
		return;
	link->dev = dev;
	link->ino = ino;
	memcpy(link->path, path, size);
	found = tsearch(link, &links->tree, copy_out_links_compare);
	if (found == NULL || *found != link)
		free(link);
	else
		links->count++;
}

const char *
copy_out_links_find(const struct copy_out_links *links, uint64_t dev, uint64_t ino)
{
	const struct copy_out_link key = { .dev = dev, .ino = ino };
	struct copy_out_link *const *found = tfind(&key, &links->tree, copy_out_links_compare);

	return found != NULL ? (*found)->path : NULL;
}

void
copy_out_links_done(struct copy_out_links *links)
{
	tdestroy(links->tree, free);
	*links = (struct copy_out_links){ 0 };
}
