/*
 * SPDX-License-Identifier: MIT
 */
#include "ctl/copy/copy_agent.h"

#include <errno.h>

#include "ctl/core/guest_file.h"
#include "ctl/target.h"

int
copy_agent_look(struct copy *copy, struct client_error *error)
{
	/* In the order of enum copy_feature. */
	static const char *const features[] = {
		GUEST_FEATURES_USER_IO,
		GUEST_FEATURES_SET,
		GUEST_FEATURES_MORE,
		GUEST_FEATURES_HOLE,
		GUEST_FEATURES_LINK,
	};
	struct copy_agent *agent = &copy->agent;
	struct copy_patience patience = { 0 };
	int r;

	if (agent->is_known)
		return 0;
	do
		r = guest_features_among(target_agent(), features,
		    sizeof(features) / sizeof(features[0]), &agent->features, &agent->limits,
		    error);
	while (copy_try_again(&patience, &r));
	agent->is_known = true;
	return r;
}

int
copy_agent_check_size(
    const struct copy *copy, const char *path, uint64_t size, struct client_error *error)
{
	uint64_t limit = copy->agent.limits.max_file_bytes;

	if (limit == 0 || size <= limit)
		return 0;
	guest_file_too_large(path, limit, error);
	return -EFBIG;
}
