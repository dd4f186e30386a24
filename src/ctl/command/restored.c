/*
 * restored: "vmm-guest-ctl restored": what a guest needs after its snapshot was
 * restored, in one round trip.
 *
 * SPDX-License-Identifier: MIT
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "ctl/command.h"
#include "ctl/env_option.h"
#include "ctl/request.h"
#include "protocol/restored_request.h"
#include "protocol/utf8.h"

#define RESTORED_ENTROPY_LEN 64
#define RESTORED_NS_PER_S 1000000000ll
#define RESTORED_PREFIX_MAX 32

struct restored_net {
	char ip[INET_ADDRSTRLEN];
	char netmask[INET_ADDRSTRLEN];
	char gateway[INET_ADDRSTRLEN];
};

/* "--machine-id" without an argument asks for a new one. */
#define RESTORED_DRAWN ""

static struct restored_net restored_net; /* "" in all of it: none was given */
static struct env_option restored_env;
static struct restored_format restored_format;
static bool restored_prints;

/* Reads "IP/PREFIX,GATEWAY". Returns 0 or -EINVAL. */
static int
restored_take_net(const struct options_row *row, char *text)
{
	struct restored_net *ret = row->into;
	char *slash;
	char *comma;
	char *copy = strdup(text);
	struct in_addr address;
	uint64_t prefix = 0;
	int r = -EINVAL;

	if (copy == NULL)
		return -EINVAL;
	slash = strchr(copy, '/');
	comma = slash != NULL ? strchr(slash, ',') : NULL;
	if (comma != NULL) {
		*slash = *comma = '\0';
		if (inet_pton(AF_INET, copy, &address) == 1 &&
		    inet_pton(AF_INET, comma + 1, &address) == 1)
			r = command_parse_number(slash + 1, 1, RESTORED_PREFIX_MAX, &prefix);
	}
	if (r == 0) {
		address.s_addr = htonl(UINT32_MAX << (RESTORED_PREFIX_MAX - prefix));
		(void)inet_ntop(AF_INET, &address, ret->netmask, sizeof(ret->netmask));
		(void)strlcpy(ret->ip, copy, sizeof(ret->ip));
		(void)strlcpy(ret->gateway, comma + 1, sizeof(ret->gateway));
	}
	free(copy);
	return r;
}

static int
restored_take_machine_id(const struct options_row *row, char *text)
{
	(void)row;
	restored_format.machine_id = text != NULL ? text : RESTORED_DRAWN;
	return text == NULL || strlen(text) == VMM_GUEST_MACHINE_ID_LEN ? 0 : -EINVAL;
}

static int
restored_take_generation(const struct options_row *row, char *text)
{
	(void)row;
	restored_format.has_generation = true;
	return command_parse_number(text, 0, UINT64_MAX, &restored_format.generation);
}

static const struct options_row restored_options[] = {
	OPTIONS_CALL("net", 0, "IP/PREFIX,GATEWAY", restored_take_net, &restored_net,
	    "IP/PREFIX,GATEWAY",
	    "the address, the length of its network's prefix, and the gateway, as "
	    "10.0.3.7/24,10.0.3.1"),
	OPTIONS_TEXT("hostname", 0, "NAME", &restored_format.hostname, "the guest's new name"),
	OPTIONS_CALL("machine-id", 0, "[=HEX]", restored_take_machine_id, NULL, "32 hex digits",
	    "the guest's new machine-id; without HEX the guest draws one"),
	ENV_OPTION(&restored_env,
	    "a variable for all programs that are started from now on, in place of those given "
	    "before; NAME alone takes our value"),
	OPTIONS_CALL("generation", 0, "N", restored_take_generation, NULL, "a number",
	    "which restore this is: nothing is done where the guest was told of it before, and "
	    "it is an error if it knows of a later one"),
	OPTIONS_FLAG("no-thaw", 0, &restored_format.holds,
	    "leave a guest quiesced that is ('thaw' ends that); while its file systems are frozen "
	    "some of the above can't be done"),
	OPTIONS_FLAG(
	    "json", 0, &restored_prints, "print the agent's answer: how long each step took"),
	OPTIONS_END,
};

/* The steps that failed, each by itself. */
static int
restored_complain(const struct control_answer *answer)
{
	struct restored_status status = { 0 };
	struct json_error error = { 0 };

	if (answer->status == NULL ||
	    restored_status_parse(answer->status, answer->status_len, &status, &error) < 0)
		return 0;
	for (unsigned i = 0; i < status.errors_count; i++)
		(void)command_fail("%s", status.errors[i]);
	return status.errors_count > 0 ? COMMAND_FAILED : 0;
}

/* An older agent passes over what it does not know. One that was told of the generation
 * before has done nothing. */
static int
restored_check(const struct control_answer *answer)
{
	const struct {
		bool is_asked;
		enum restored_step step;
		const char *name;
	} steps[] = {
		{ restored_format.hostname != NULL, RESTORED_HOSTNAME, "--hostname" },
		{ restored_format.machine_id != NULL, RESTORED_MACHINE_ID, "--machine-id" },
		{ restored_format.has_env, RESTORED_ENV, "--env" },
		{ restored_format.has_generation, RESTORED_GENERATION, "--generation" },
	};
	struct restored_status told = { .errors_count = 0 };
	struct json_error error = { 0 };
	int status = 0;

	/* What can't be read tells of no step. */
	if (answer->status != NULL)
		(void)restored_status_parse(answer->status, answer->status_len, &told, &error);
	if (told.times_us[RESTORED_GENERATION] > 0)
		return 0;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		if (steps[i].is_asked && told.times_us[steps[i].step] == 0)
			status = command_fail("the agent is too old for %s", steps[i].name);
	}
	return status;
}

static bool
restored_is_utf8(void)
{
	const struct restored_format *format = &restored_format;
	bool valid = (format->hostname == NULL || utf8_is_valid(format->hostname)) &&
		     (format->machine_id == NULL || utf8_is_valid(format->machine_id));

	for (size_t i = 0; i < format->env_count; i++)
		valid = valid && utf8_is_valid(format->env[i].name) &&
			utf8_is_valid(format->env[i].value);
	return valid;
}

static void
restored_fill(const uint8_t *entropy, size_t entropy_len)
{
	struct restored_format *format = &restored_format;
	struct timespec now;

	format->entropy = entropy;
	format->entropy_len = entropy_len;
	format->env = restored_env.env;
	format->env_count = restored_env.count;
	format->has_env = restored_env.count > 0;
	if (restored_net.ip[0] != '\0') {
		format->ip = restored_net.ip;
		format->netmask = restored_net.netmask;
		format->gateway = restored_net.gateway;
	}
	(void)clock_gettime(CLOCK_REALTIME, &now);
	format->unix_ns = now.tv_sec * RESTORED_NS_PER_S + now.tv_nsec;
}

static int
restored_prepare(int argc, char **argv)
{
	(void)argv;
	env_option_init(&restored_env, argc, 0);
	return argc;
}

static int
restored_run(int count, char **operands)
{
	struct control_answer CLEANUP_ANSWER answer = { 0 };
	uint8_t entropy[RESTORED_ENTROPY_LEN];
	struct request request = {
		.frame = "RESTORED",
		.refused = "the agent could not do it; its log in the guest says why",
		.complain = restored_complain,
	};
	size_t len;
	int status;

	(void)count;
	(void)operands;
	if (getrandom(entropy, sizeof(entropy), 0) != (ssize_t)sizeof(entropy))
		return command_fail("can't get random bytes: %s", strerror(errno));
	restored_fill(entropy, sizeof(entropy));
	if (!restored_is_utf8())
		return command_fail("an argument is not UTF-8");
	status =
	    request_run_json(&request, restored_request_format(&restored_format, &len), &answer);
	free(restored_env.env);
	if (status == 0)
		status = restored_check(&answer);
	if (restored_prints && answer.status != NULL)
		command_print_json(stdout, answer.status, answer.status_len);
	return status;
}

const struct command restored_command = {
	.name = "restored",
	.summary = "put the guest right after its snapshot was restored",
	.usage = "[OPTION]...",
	.about =
	    "To be called right after a snapshot was restored: sets the guest's clock to this\n"
	    "machine's, feeds its random pool (or it would draw the same numbers as the other\n"
	    "clones of the snapshot), and gives it an address, a name and a machine-id of its\n"
	    "own, and variables for its programs. With --env at any time, too. Where it is\n"
	    "quiesced it goes on then, its programs last.\n",
	.more = "\nExit status: 0, or 1 if a step failed; the others are done all the same.\n",
	.options = restored_options,
	.prepare = restored_prepare,
	.run = restored_run,
};
