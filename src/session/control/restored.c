/*
 * restored: RESTORED: clock, entropy and network in one round trip, each if it is
 * given, and each though another has failed.
 *
 * SPDX-License-Identifier: MIT
 */
#include "session/control/restored.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "platform/clock.h"
#include "platform/entropy.h"
#include "platform/log.h"
#include "platform/text.h"
#include "protocol/restored_request.h"
#include "shared/host_clock.h"
#include "session/control/net_apply.h"

#define RESTORED_NS_PER_S 1000000000

/* Too large for the stack; one session runs at a time. */
static struct restored_request restored_request;

static void
restored_fail(struct restored_status *status, const char *what, const char *problem)
{
	(void)text_format(
	    status->errors[status->errors_count++], RESTORED_ERROR_SIZE, "%s: %s", what, problem);
}

static void
restored_set_clock(
    struct session *session, const struct restored_request *request, struct restored_status *status)
{
	uint64_t start = clock_mono_us();
	int64_t seconds = request->unix_ns / RESTORED_NS_PER_S;
	int64_t rest = request->unix_ns % RESTORED_NS_PER_S;
	int r;

	if (request->clock_error.text[0] != '\0') {
		restored_fail(status, "clock", request->clock_error.text);
		return;
	}
	if (rest < 0) {
		rest += RESTORED_NS_PER_S;
		seconds--;
	}
	r = host_clock_set(session->board, seconds, (uint32_t)rest);
	status->clock_us = clock_mono_us() - start;
	if (r < 0)
		restored_fail(status, "clock", strerror(-r));
}

static void
restored_credit_entropy(const struct restored_request *request, struct restored_status *status)
{
	uint64_t start = clock_mono_us();
	int r;

	if (request->entropy_error.text[0] != '\0') {
		restored_fail(status, "entropy", request->entropy_error.text);
		return;
	}
	if (request->entropy_len == 0)
		return;
	r = entropy_credit(request->entropy, request->entropy_len);
	status->entropy_us = clock_mono_us() - start;
	if (r < 0)
		restored_fail(status, "entropy", strerror(-r));
}

static void
restored_set_net(const struct restored_request *request, const char *dns,
    struct restored_status *status, struct net_apply_result *result)
{
	if (request->net_error.text[0] != '\0') {
		restored_fail(status, "net", request->net_error.text);
		return;
	}
	if (net_apply(&request->net, dns, result) < 0)
		restored_fail(status, "net", result->problem);
	status->net_us = result->times[NET_REQUEST_TOTAL_US];
}

static bool
restored_makes_sense(const struct restored_request *request)
{
	return request->clock_error.text[0] == '\0' && request->entropy_error.text[0] == '\0' &&
	       request->net_error.text[0] == '\0';
}

/* Does all that is asked for and can be, and counts the request if that is not all. */
static void
restored_run(struct session *session, const char *text, size_t len, struct restored_status *status,
    struct net_apply_result *net)
{
	struct restored_request *request = &restored_request;
	struct json_error error;

	if (restored_request_parse(text, len, request, &error) < 0) {
		(void)atomic_fetch_add(&session->board->counts.bad_requests, 1);
		session->is_last = error.code == -ENOMEM;
		restored_fail(status, "bad RESTORED", error.text);
		return;
	}
	if (!restored_makes_sense(request))
		(void)atomic_fetch_add(&session->board->counts.bad_requests, 1);
	if (request->has_clock)
		restored_set_clock(session, request, status);
	restored_credit_entropy(request, status);
	if (request->has_net)
		restored_set_net(request, session->settings->dns, status, net);
	explicit_bzero(request->entropy, sizeof(request->entropy));
}

static void
restored_answer(struct session *session, const struct restored_status *status)
{
	size_t len;
	char *text = restored_status_format(status, &len);
	bool is_told = text != NULL;
	int r = 0;

	if (is_told)
		r = conn_send(&session->conn, VMM_GUEST_STATUS, text, len);
	free(text);
	if (r < 0)
		return;
	session_send_exit(session,
	    is_told && status->errors_count == 0 ? VMM_GUEST_EXIT_OK
						 : VMM_GUEST_EXIT_CONTROL_FAILED,
	    0);
}

void
restored_serve(struct session *session, uint8_t type, const uint8_t *payload, size_t len)
{
	struct restored_status status = { .errors_count = 0 };
	struct net_apply_result net = { .problem = "" };
	uint64_t start = clock_mono_us();

	(void)type;
	restored_run(session, (const char *)payload, len, &status, &net);
	status.total_us = clock_mono_us() - start;
	restored_answer(session, &status);
	for (unsigned i = 0; i < status.errors_count; i++)
		log_warnx("RESTORED: %s", status.errors[i]);
	net.problem[0] = '\0';
	net_apply_log(&net, "RESTORED");
}
