/*
 * copy_in_links: a tree of tsearch(3).
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/copy/copy_in_links.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/copy/copy_agent.h"

bool
copy_links_are_kept(const struct copy *copy)
{
	return copy->keeps_links && (copy->agent.features & COPY_LINKS) != 0;
}

static int
copy_link_compare(const void *one, const void *other)
{
	const struct copy_link *a = one;
	const struct copy_link *b = other;

	if (a->dev != b->dev)
		return a->dev < b->dev ? -1 : 1;
	if (a->ino != b->ino)
		return a->ino < b->ino ? -1 : 1;
	return 0;
}

struct copy_link *
copy_link_find(struct copy *copy, const struct stat *st, const char *path, bool *ret_is_first)
{
	size_t size = strlen(path) + 1;
	struct copy_link *link = malloc(sizeof(*link) + size);
	struct copy_link **found;

	if (link == NULL)
		return NULL;
	*link = (struct copy_link){ .dev = st->st_dev, .ino = st->st_ino };
	STAILQ_INIT(&link->waiting);
	memcpy(link->path, path, size);
	found = tsearch(link, &copy->links, copy_link_compare);
	*ret_is_first = found != NULL && *found == link;
	if (!*ret_is_first)
		free(link);
	return found != NULL ? *found : NULL;
}

void
copy_link_settle(struct copy *copy, struct copy_link *link, int r)
{
	struct copy_job *job;

	(void)pthread_mutex_lock(&copy->lock);
	link->state = r < 0 ? COPY_LINK_LOST : COPY_LINK_DONE;
	while ((job = STAILQ_FIRST(&link->waiting)) != NULL) {
		STAILQ_REMOVE_HEAD(&link->waiting, entry);
		if (r < 0)
			job->run = job->otherwise;
		STAILQ_INSERT_TAIL(&copy->jobs, job, entry);
		copy->jobs_count++;
	}
	(void)pthread_cond_broadcast(&copy->changed);
	(void)pthread_mutex_unlock(&copy->lock);
}

enum copy_link_state
copy_link_await(struct copy *copy, struct copy_link *link)
{
	enum copy_link_state state;

	(void)pthread_mutex_lock(&copy->lock);
	while (link->state == COPY_LINK_UNDER_WAY)
		(void)pthread_cond_wait(&copy->changed, &copy->lock);
	state = link->state;
	(void)pthread_mutex_unlock(&copy->lock);
	return state;
}

void
copy_links_done(struct copy *copy)
{
	tdestroy(copy->links, free);
	copy->links = NULL;
}
