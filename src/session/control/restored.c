/*
 * In one round trip, each step if it is given, and each though another has failed. Sessions
 * thaw last: nothing in a clone is to run before it is somebody else.
 *
 * SPDX-License-Identifier: MIT
 */
#include "session/control/restored.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "platform/clock.h"
#include "platform/entropy.h"
#include "platform/log.h"
#include "platform/text.h"
#include "protocol/restored_request.h"
#include "shared/generation.h"
#include "shared/given_env.h"
#include "shared/host_clock.h"
#include "session/control/identity.h"
#include "session/control/net_apply.h"
#include "session/control/restored_thaw.h"

#define RESTORED_NS_PER_S 1000000000

/* One request, while it is carried out. */
struct restored {
	struct session *session;
	const char *problem; /* why a step failed; NULL: what its -errno says */
	bool has_claimed;    /* a generation */
	bool is_refused;     /* and nothing was done */
	bool has_thawed;     /* the file systems that were frozen */
	char words[RESTORED_ERROR_SIZE];
	struct net_apply_result net;
	struct restored_status status;
	struct restored_request request;
};

/* Too large for the stack; one session runs at a time. */
static struct restored restored;

/* Carries out one step. Returns 0, -errno, or that there was nothing to be done. */
typedef int restored_step_fn(void);
#define RESTORED_NOTHING 1

static int
restored_set_clock(void)
{
	int64_t seconds = restored.request.unix_ns / RESTORED_NS_PER_S;
	int64_t rest = restored.request.unix_ns % RESTORED_NS_PER_S;

	if (rest < 0) {
		rest += RESTORED_NS_PER_S;
		seconds--;
	}
	return host_clock_set(restored.session->board, seconds, (uint32_t)rest);
}

static int
restored_credit_entropy(void)
{
	return entropy_credit(restored.request.entropy, restored.request.entropy_len);
}

/* For what is refused, all of it is. */
static int
restored_claim(void)
{
	uint64_t number = restored.request.generation;
	uint64_t there;
	int r =
	    generation_claim(restored.session->board, restored.session->slot_index, number, &there);

	restored.has_claimed = r == 0;
	restored.is_refused = r == -ESTALE || r == -EBUSY;
	restored.problem = restored.words;
	if (r == -EBUSY)
		(void)text_format(restored.words, sizeof(restored.words),
		    "EBUSY: another RESTORED with a generation is under way");
	if (r == -ESTALE)
		(void)text_format(restored.words, sizeof(restored.words),
		    "ESTALE: %llu is smaller than %llu, which the guest is",
		    (unsigned long long)number, (unsigned long long)there);
	return r == -EALREADY ? 0 : r;
}

/* Where one part of a step failed, and the other was done: which one, and why. */
static int
restored_explain(int r, const char *problem)
{
	if (r < 0 && problem != NULL) {
		(void)text_format(
		    restored.words, sizeof(restored.words), "%s: %s", problem, strerror(-r));
		restored.problem = restored.words;
	}
	return r;
}

static int
restored_ask(enum quiesce_ask_kind kind)
{
	int r = restored_thaw(restored.session->board, kind);

	if (r == -ETIMEDOUT)
		restored.problem = "ETIMEDOUT: it is still under way";
	return r == -ENODATA ? RESTORED_NOTHING : r;
}

static int
restored_thaw_files(void)
{
	int r = restored_ask(QUIESCE_ASK_THAW_FILES);

	restored.has_thawed = r == 0;
	return r;
}

static int
restored_hold(void)
{
	return restored_ask(QUIESCE_ASK_HOLD);
}

static int
restored_thaw_sessions(void)
{
	return restored_ask(QUIESCE_ASK_THAW);
}

/* Whether a step that writes files can do that: a worker that writes where nothing can be written
 * stands still, too. Returns 0 or -EBUSY. */
static int
restored_may_write(void)
{
	if (restored.has_thawed || !restored_thaw_has_frozen(restored.session->board))
		return 0;
	restored.problem = "EBUSY: file systems are frozen";
	return -EBUSY;
}

static int
restored_set_hostname(void)
{
	const char *problem = NULL;
	int r = identity_has_own_hosts() ? restored_may_write() : 0;

	if (r == 0)
		r = identity_set_hostname(restored.request.hostname, &problem);
	return restored_explain(r, problem);
}

static int
restored_set_machine_id(void)
{
	const char *problem = NULL;
	int r = restored_may_write();

	if (r == 0)
		r = identity_set_machine_id(restored.request.machine_id, &problem);
	return restored_explain(r, problem);
}

static int
restored_set_env(void)
{
	int r = given_env_set(restored.session->board, restored.session->slot_index,
	    restored.request.env, restored.request.env_count);

	if (r == -E2BIG)
		restored.problem = "names and values are more than 64 KiB together";
	return r;
}

static int
restored_set_net(void)
{
	const struct net_request *request = &restored.request.net;
	const char *dns = restored.session->settings->dns;
	int r = net_apply_writes(request, dns) ? restored_may_write() : 0;

	if (r < 0)
		return r;
	restored.problem = restored.net.problem;
	return net_apply(request, dns, &restored.net);
}

struct restored_row {
	enum restored_step step;
	const char *name;
	restored_step_fn *run;
};

/* In the order in which they are done, behind that which is claimed before all of them. */
static const struct restored_row restored_generation = { RESTORED_GENERATION, "generation",
	restored_claim };
static const struct restored_row restored_rows[] = {
	{ RESTORED_CLOCK, "clock", restored_set_clock },
	{ RESTORED_ENTROPY, "entropy", restored_credit_entropy },
	{ RESTORED_THAW_FILES, "thaw", restored_thaw_files },
	{ RESTORED_HOLD, "thaw", restored_hold },
	{ RESTORED_HOSTNAME, "hostname", restored_set_hostname },
	{ RESTORED_MACHINE_ID, "machine-id", restored_set_machine_id },
	{ RESTORED_ENV, "env", restored_set_env },
	{ RESTORED_NET, "net", restored_set_net },
	{ RESTORED_THAW, "thaw", restored_thaw_sessions },
};

static void
restored_fail(const char *what, const char *problem)
{
	struct restored_status *status = &restored.status;

	(void)text_format(
	    status->errors[status->errors_count++], RESTORED_ERROR_SIZE, "%s: %s", what, problem);
}

/* One that was done, be it in no time, took at least 1 us: 0 is for those that were not. */
static void
restored_run_step(const struct restored_row *row)
{
	const char *problem = restored.request.errors[row->step].text;
	uint64_t start = clock_mono_us();
	uint64_t took;
	int r;

	if (problem[0] != '\0') {
		restored_fail(row->name, problem);
		return;
	}
	restored.problem = NULL;
	r = row->run();
	took = clock_mono_us() - start;
	if (r != RESTORED_NOTHING)
		restored.status.times_us[row->step] = took > 0 ? took : 1;
	if (r < 0)
		restored_fail(
		    row->name, restored.problem != NULL ? restored.problem : strerror(-r));
}

static bool
restored_makes_sense(const struct restored_request *request)
{
	unsigned step = 0;

	while (step < RESTORED_STEPS && request->errors[step].text[0] == '\0')
		step++;
	return step == RESTORED_STEPS;
}

/* Whether the steps are to be done: not where the generation says that they were, or that the
 * request is late. */
static bool
restored_begin(struct restored_request *request)
{
	if ((request->have & 1u << RESTORED_GENERATION) == 0)
		return true;
	restored_run_step(&restored_generation);
	return restored.has_claimed || request->errors[RESTORED_GENERATION].text[0] != '\0';
}

/* Does all that is asked for and can be, and counts the request if that is not all. */
static void
restored_run(const char *text, size_t len)
{
	struct restored_request *request = &restored.request;
	struct session *session = restored.session;
	struct json_error error = { 0 };
	bool begins;

	if (restored_request_parse(text, len, request, &error) < 0) {
		(void)atomic_fetch_add(&session->board->counts.bad_requests, 1);
		session->is_last = error.code == -ENOMEM;
		restored_fail("bad RESTORED", error.text);
		return;
	}
	if (!restored_makes_sense(request))
		(void)atomic_fetch_add(&session->board->counts.bad_requests, 1);
	begins = restored_begin(request);
	for (size_t i = 0; begins && i < sizeof(restored_rows) / sizeof(restored_rows[0]); i++) {
		if (request->have & 1u << restored_rows[i].step)
			restored_run_step(&restored_rows[i]);
	}
	/* Before the answer: a host that reads it and asks again is not told "busy". */
	if (restored.has_claimed)
		generation_release(
		    session->board, session->slot_index, restored.status.errors_count == 0);
	restored_request_done(request);
}

static int32_t
restored_exit_code(const struct restored_status *status)
{
	if (restored.is_refused)
		return VMM_GUEST_EXIT_NOT_MADE;
	return status->errors_count == 0 ? VMM_GUEST_EXIT_OK : VMM_GUEST_EXIT_CONTROL_FAILED;
}

static void
restored_answer(struct session *session, const struct restored_status *status)
{
	size_t len = 0;
	char *text = restored_status_format(status, &len);

	if (session_send_status(session, text, len))
		session_send_exit(session, restored_exit_code(status), 0);
}

void
restored_serve(struct session *session, uint8_t type, const uint8_t *payload, size_t len)
{
	struct restored_status *status = &restored.status;
	uint64_t start = clock_mono_us();

	(void)type;
	restored = (struct restored){ .session = session };
	restored_run((const char *)payload, len);
	status->total_us = clock_mono_us() - start;
	restored_answer(session, status);
	for (unsigned i = 0; i < status->errors_count; i++)
		log_warnx("RESTORED: %s", status->errors[i]);
	restored.net.problem[0] = '\0';
	net_apply_log(&restored.net, "RESTORED");
}
