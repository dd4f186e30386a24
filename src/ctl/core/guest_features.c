/*
 * guest_features: STATUS's list of features.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/core/guest_features.h"

#include <errno.h>
#include <string.h>

#include "ctl/core/control.h"
#include "protocol/status.h"

static int
guest_features_find(const struct control_answer *answer, const char *const *features,
    unsigned count, unsigned *ret, struct guest_limits *ret_limits, struct client_error *error)
{
	struct status CLEANUP_STATUS view = { 0 };
	struct json_error json_error = { 0 };
	int r = status_parse(answer->status, answer->status_len, &view, &json_error);

	if (r < 0) {
		client_fail(error, "the agent's status can't be understood: %s",
		    r == -ENOMEM ? "out of memory" : json_error.text);
		return r;
	}
	if (ret_limits != NULL)
		*ret_limits = (struct guest_limits){ .idle = view.workers.idle,
			.max_file_bytes = view.max_file_bytes };
	for (size_t i = 0; i < view.features_count; i++) {
		for (unsigned j = 0; j < count; j++) {
			if (strcmp(view.features[i], features[j]) == 0)
				*ret |= 1u << j;
		}
	}
	return 0;
}

int
guest_features_among(const struct client_target *target, const char *const *features,
    unsigned count, unsigned *ret, struct guest_limits *ret_limits, struct client_error *error)
{
	struct control_answer CLEANUP_ANSWER answer = { 0 };
	int r = control_ask(target, "STATUS_REQ", NULL, -1, &answer, error);

	*ret = 0;
	if (ret_limits != NULL)
		*ret_limits = (struct guest_limits){ 0 };
	if (r < 0)
		return r == -ENODATA ? 0 : r;
	if (answer.status != NULL && answer.exit.code == VMM_GUEST_EXIT_OK)
		return guest_features_find(&answer, features, count, ret, ret_limits, error);
	if (strncmp(answer.words, "busy", 4) != 0)
		return 0;
	client_fail(error, "the agent would not tell what it can do: %s", answer.words);
	return -EBUSY;
}

int
guest_features_have(
    const struct client_target *target, const char *feature, struct client_error *error)
{
	unsigned have;
	int r = guest_features_among(target, &feature, 1, &have, NULL, error);

	return r < 0 ? r : (int)have;
}

int
guest_features_check_user(const struct client_target *target, const char *user, const char *feature,
    struct client_error *error)
{
	int r = user[0] != '\0' ? guest_features_have(target, feature, error) : 1;

	if (r != 0)
		return r < 0 ? r : 0;
	client_fail(error, GUEST_FEATURES_TOO_OLD_FOR_USER);
	return -EOPNOTSUPP;
}
